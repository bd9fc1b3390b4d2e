import { ttrpc } from "@kuasar/proto/containerd";
import type { Transport } from "ttrpc-ts";
import { withinDeadline } from "./fuzz-target.ts";

export const MessageType = { REQUEST: 1, RESPONSE: 2, DATA: 3 } as const;
export const HEADER_BYTES = 10;
export const MESSAGE_BYTES_MAX = 4 << 20;

/** A server's answer to one stream. */
export interface Answer {
  readonly streamId: number;
  /** A gRPC code; 0 is OK. */
  readonly code: number;
  readonly message: string;
  readonly payload: Uint8Array;
}

export interface Call {
  readonly service: string;
  readonly method: string;
  readonly payload: Uint8Array;
  readonly timeoutNano?: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

export function frame(type: number, flags: number, streamId: number, body: Uint8Array, length = body.length): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(length >>> 0, 0);
  header.writeUInt32BE(streamId >>> 0, 4);
  header.writeUInt8(type, 8);
  header.writeUInt8(flags, 9);
  return Buffer.concat([header, body]);
}

export function requestBody({ service, method, payload, timeoutNano = 0, metadata = {} }: Call): Uint8Array {
  const pairs = Object.entries(metadata).map(([key, value]) => ({ key, value }));
  return ttrpc.Request.encode({ service, method, payload, timeoutNano, metadata: pairs });
}

/**
 * A ttrpc client that sends whatever bytes it is told to, and holds the server to its side of the protocol: all that
 * comes back must be whole frames of responses and data, with codes that gRPC knows, for streams that were named.
 */
export class FramePeer {
  readonly answers: Answer[] = [];
  closed = false;
  private received: Buffer = Buffer.alloc(0);
  private fault: Error | undefined;
  private sleepers: Array<() => void> = [];
  private lastStreamId = -1;

  constructor(private readonly transport: Transport) {
    transport.onDrain = () => {};
    transport.onClose = () => {
      this.closed = true;
      if (this.received.length > 0) this.fault ??= new Error("the connection was closed within a frame");
      this.wake();
    };
    transport.onData = (bytes) => {
      this.received = Buffer.concat([this.received, bytes]);
      try {
        while (this.takeFrame());
      } catch (error) {
        this.fault ??= error as Error;
      }
      this.wake();
    };
  }

  send(bytes: Uint8Array): void {
    this.transport.write(new Uint8Array(bytes));
  }

  /** A call on a stream of its own; its answer. */
  async call(call: Call, deadlineMs?: number): Promise<Answer> {
    this.lastStreamId += 2;
    return this.callOn(this.lastStreamId, call, deadlineMs);
  }

  async callOn(streamId: number, call: Call, deadlineMs?: number): Promise<Answer> {
    this.send(frame(MessageType.REQUEST, 0, streamId, requestBody(call)));
    const answer = await this.until(
      `${call.service}/${call.method}`,
      () => this.answers.find((each) => each.streamId === streamId) ?? (this.closed ? null : undefined),
      deadlineMs,
    );
    if (!answer) throw new Error(`${call.service}/${call.method}: the connection was closed instead of an answer`);
    return answer;
  }

  /** Waits until `probe` finds something. Throws what the server has done wrong, or when nothing comes of it. */
  async until<T>(what: string, probe: () => T | undefined, deadlineMs?: number): Promise<T> {
    const found = async () => {
      for (;;) {
        if (this.fault) throw this.fault;
        const value = probe();
        if (value !== undefined) return value;
        await new Promise<void>((resolve) => {
          this.sleepers.push(resolve);
        });
      }
    };
    return withinDeadline(what, found(), deadlineMs);
  }

  close(): void {
    this.transport.close();
    if (this.fault) throw this.fault;
  }

  private wake(): void {
    for (const resolve of this.sleepers.splice(0)) resolve();
  }

  private takeFrame(): boolean {
    if (this.received.length < HEADER_BYTES) return false;
    const length = this.received.readUInt32BE(0);
    if (length > MESSAGE_BYTES_MAX) throw new Error(`the server sent a frame of ${length} bytes`);
    if (this.received.length < HEADER_BYTES + length) return false;
    const streamId = this.received.readUInt32BE(4);
    const type = this.received.readUInt8(8);
    const body = this.received.subarray(HEADER_BYTES, HEADER_BYTES + length);
    this.received = this.received.subarray(HEADER_BYTES + length);
    if (type === MessageType.RESPONSE) {
      const { status, payload } = ttrpc.Response.decode(body);
      const { code = 0, message = "" } = status ?? {};
      if (code < 0 || code > 16) throw new Error(`the server answered with code ${code}: ${message}`);
      if (code !== 0 && message === "") throw new Error(`the server answered with code ${code} and no reason`);
      this.answers.push({ streamId, code, message, payload });
    } else if (type !== MessageType.DATA) {
      throw new Error(`the server sent a frame of type ${type}`);
    }
    return true;
  }
}
