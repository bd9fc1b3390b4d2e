import { MESSAGE_HEADER_LENGTH, MessageType, readUint32 } from "./frame.ts";

/** Where a decoder's frames go. None of the methods may throw. */
export interface FrameReceiver {
  /** The message is a view of the bytes received, or of a buffer of its own: the receiver may keep it. */
  onFrame(type: number, flags: number, streamId: number, message: Uint8Array): void;
  /** A message above the limit: its bytes are being discarded as they come in, and are never held. */
  onOversized(type: number, streamId: number, length: number): void;
  /** The bytes are not ttrpc; nothing that follows is looked at. */
  onNonsense(reason: string): void;
}

/** Cuts a byte stream into frames, however it was split into chunks. */
export interface FrameDecoder {
  push(chunk: Uint8Array): void;
  /** While paused, chunks are kept as they are and no frame is delivered. */
  pause(): void;
  /** Delivers what was kept; the receiver may pause again meanwhile. */
  resume(): void;
  /** Delivers nothing more and lets go of everything. */
  stop(): void;
}

export function createFrameDecoder(receiver: FrameReceiver, maxMessageBytes: number): FrameDecoder {
  return new ChunkedFrameDecoder(receiver, maxMessageBytes);
}

const NO_BYTES: Uint8Array = new Uint8Array(0);

class ChunkedFrameDecoder implements FrameDecoder {
  readonly #receiver: FrameReceiver;
  readonly #maxMessageBytes: number;
  readonly #header = new Uint8Array(MESSAGE_HEADER_LENGTH);
  #headerFilled = 0;
  /** The message being put together from several chunks. */
  #message: Uint8Array | undefined;
  #messageFilled = 0;
  /** What is left to discard of an oversized message. */
  #discard = 0;
  #kept: Uint8Array[] = [];
  #paused = false;
  #stopped = false;
  #busy = false;

  constructor(receiver: FrameReceiver, maxMessageBytes: number) {
    this.#receiver = receiver;
    this.#maxMessageBytes = maxMessageBytes;
  }

  push(chunk: Uint8Array): void {
    if (this.#stopped) {
      return;
    }
    if (this.#paused || this.#busy || this.#kept.length > 0) {
      this.#kept.push(chunk);
      return;
    }
    this.#busy = true;
    this.#decode(chunk);
    this.#busy = false;
    this.#decodeKept();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#decodeKept();
  }

  stop(): void {
    this.#stopped = true;
    this.#kept = [];
    this.#message = undefined;
  }

  // A receiver may resume from inside onFrame: then the loop further up the stack goes on, in order.
  #decodeKept(): void {
    if (this.#busy) {
      return;
    }
    this.#busy = true;
    while (!this.#paused && this.#kept.length > 0) {
      this.#decode(this.#kept.shift() as Uint8Array);
    }
    this.#busy = false;
  }

  #decode(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length && !this.#stopped) {
      if (this.#paused) {
        this.#kept.unshift(chunk.subarray(at));
        return;
      }
      if (this.#discard > 0) {
        const skipped = Math.min(this.#discard, chunk.length - at);
        this.#discard -= skipped;
        at += skipped;
      } else if (this.#message !== undefined) {
        at = this.#fillMessage(this.#message, chunk, at);
      } else if (this.#headerFilled === 0 && chunk.length - at >= MESSAGE_HEADER_LENGTH) {
        at = this.#begin(chunk, at, chunk, at + MESSAGE_HEADER_LENGTH);
      } else {
        at = this.#fillHeader(chunk, at);
      }
    }
  }

  #fillHeader(chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + MESSAGE_HEADER_LENGTH - this.#headerFilled);
    this.#header.set(chunk.subarray(at, end), this.#headerFilled);
    this.#headerFilled += end - at;
    return this.#headerFilled === MESSAGE_HEADER_LENGTH ? this.#begin(this.#header, 0, chunk, end) : end;
  }

  /** Looks at a complete header; takes the message too if the chunk has all of it. Returns where the chunk goes on. */
  #begin(header: Uint8Array, headerAt: number, chunk: Uint8Array, at: number): number {
    const length = readUint32(header, headerAt);
    const streamId = readUint32(header, headerAt + 4);
    const type = header[headerAt + 8] as number;
    const flags = header[headerAt + 9] as number;
    this.#headerFilled = 0;
    if (length > this.#maxMessageBytes) {
      // The protocol reserves the length's first byte, so a long message of no known type is something else altogether.
      if (type < MessageType.REQUEST || type > MessageType.DATA) {
        this.stop();
        this.#receiver.onNonsense(`not a ttrpc frame: length ${length}, stream id ${streamId}, type ${type}`);
        return chunk.length;
      }
      this.#discard = length;
      this.#receiver.onOversized(type, streamId, length);
      return at;
    }
    if (length <= chunk.length - at) {
      const message = length === 0 ? NO_BYTES : chunk.subarray(at, at + length);
      this.#receiver.onFrame(type, flags, streamId, message);
      return at + length;
    }
    // The rest comes later: keep the header's facts, and give the message a buffer of its own.
    if (header !== this.#header) {
      this.#header.set(header.subarray(headerAt, headerAt + MESSAGE_HEADER_LENGTH));
    }
    this.#message = new Uint8Array(length);
    this.#messageFilled = 0;
    return at;
  }

  #fillMessage(message: Uint8Array, chunk: Uint8Array, at: number): number {
    const end = Math.min(chunk.length, at + message.length - this.#messageFilled);
    message.set(chunk.subarray(at, end), this.#messageFilled);
    this.#messageFilled += end - at;
    if (this.#messageFilled === message.length) {
      this.#message = undefined;
      this.#receiver.onFrame(
        this.#header[8] as number,
        this.#header[9] as number,
        readUint32(this.#header, 4),
        message,
      );
    }
    return end;
  }
}
