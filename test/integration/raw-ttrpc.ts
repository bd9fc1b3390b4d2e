import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { ttrpc } from "@kuasar/proto/containerd";
import type { Service } from "@kuasar/proto/message-type";

export interface RawResponse {
  readonly streamId: number;
  /** A gRPC code; 0 is OK. */
  readonly code: number;
  readonly message: string;
  readonly payload: Uint8Array;
}

interface RawMethod<I> {
  readonly name: string;
  readonly input: { create(fields?: I): unknown; encode(fields: I): Uint8Array };
}

const headerSize = 10;
const requestType = 1;
const responseType = 2;

/** "length u32, stream id u32, type u8, flags u8", big-endian (ttrpc's PROTOCOL.md). */
export function frameHeader(length: number, streamId: number, type = requestType): Buffer {
  const header = Buffer.alloc(headerSize);
  header.writeUInt32BE(length, 0);
  header.writeUInt32BE(streamId, 4);
  header.writeUInt8(type, 8);
  return header;
}

/** ttrpc by hand, without the project's own client, which would not send what these tests have to. */
export class RawTtrpc {
  private received: Buffer = Buffer.alloc(0);
  private nextStreamId = 1;

  private constructor(private readonly socket: Socket) {
    socket.on("data", (bytes: Buffer) => {
      this.received = Buffer.concat([this.received, bytes]);
    });
    // A peer that hangs up on garbage is in its right; what matters is asked on the next connection.
    socket.on("error", () => undefined);
  }

  static async connect(path: string): Promise<RawTtrpc> {
    const socket = connect(path);
    await once(socket, "connect");
    return new RawTtrpc(socket);
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Sends a request and waits for its answer. @param timeoutMs its deadline, as the peer is told of it */
  async call<I>(service: Service, method: RawMethod<I>, input: I, timeoutMs = 10_000): Promise<RawResponse> {
    const payload = method.input.encode(input);
    const request = ttrpc.Request.encode({
      service: service.name,
      method: method.name,
      payload,
      timeoutNano: timeoutMs * 1_000_000,
      metadata: [{ key: "containerd-namespace-ttrpc", value: "k8s.io" }],
    });
    const streamId = this.nextStreamId;
    this.nextStreamId += 2;
    this.send(Buffer.concat([frameHeader(request.length, streamId), request]));
    return this.receive();
  }

  /** The next response. Throws after 15 s, or when the peer has hung up. */
  async receive(): Promise<RawResponse> {
    const deadline = AbortSignal.timeout(15_000);
    for (;;) {
      const size = this.received.length >= headerSize ? headerSize + this.received.readUInt32BE(0) : undefined;
      if (size !== undefined && this.received.length >= size) {
        const frame = this.received.subarray(0, size);
        this.received = this.received.subarray(size);
        if (frame.readUInt8(8) !== responseType) continue;
        const response = ttrpc.Response.decode(frame.subarray(headerSize));
        const { code = 0, message = "" } = response.status ?? {};
        return { streamId: frame.readUInt32BE(4), code, message, payload: response.payload };
      }
      if (this.socket.destroyed || this.socket.readableEnded) throw new Error("the peer hung up without an answer");
      await Promise.race([
        once(this.socket, "data", { signal: deadline }),
        once(this.socket, "end", { signal: deadline }),
      ]);
    }
  }

  close(): void {
    this.socket.destroy();
  }
}
