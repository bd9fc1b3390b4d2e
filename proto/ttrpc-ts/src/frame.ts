/**
 * The frame of ttrpc: a header of ten bytes, then the message.
 * https://github.com/containerd/ttrpc/blob/main/PROTOCOL.md#message-frame
 */
export const MESSAGE_HEADER_LENGTH = 10;

/** The longest message, its header not counted. */
export const MESSAGE_LENGTH_MAX = 4 << 20;

/** https://github.com/containerd/ttrpc/blob/main/PROTOCOL.md#mesage-types */
export const MessageType = { REQUEST: 1, RESPONSE: 2, DATA: 3 } as const;

/** https://github.com/containerd/ttrpc/blob/main/PROTOCOL.md#request-flags */
export const Flag = { REMOTE_CLOSED: 1, REMOTE_OPEN: 2, NO_DATA: 4 } as const;

/** Stream ids are unsigned 32-bit numbers, a client's are odd. */
export const STREAM_ID_MAX = 0xffff_ffff;

/** Above this many unsent bytes a server stops reading, and a stream's `send` waits. */
export const WRITE_HIGH_WATER_BYTES = 256 << 10;

/** What a stream may hold of received messages that nobody has asked for yet, before the connection is paused. */
export const STREAM_QUEUE_MESSAGES = 32;
export const STREAM_QUEUE_BYTES = 256 << 10;

/** How many calls one connection may have running at a server, and how many times the longest message they may hold. */
export const CONCURRENT_CALLS = 4096;
export const HELD_MESSAGES_MAX = 16;

/** A frame with its header written and `length` bytes of room behind it. */
export function allocateFrame(type: number, flags: number, streamId: number, length: number): Uint8Array {
  const frame = new Uint8Array(MESSAGE_HEADER_LENGTH + length);
  writeUint32(frame, 0, length); // Length   b[:4]
  writeUint32(frame, 4, streamId); // StreamID b[4:8]
  frame[8] = type; // Type     b[8]
  frame[9] = flags; // Flags    b[9]
  return frame;
}

/** A whole data frame. */
export function encodeData(streamId: number, flags: number, message?: Uint8Array): Uint8Array {
  const frame = allocateFrame(MessageType.DATA, flags, streamId, message?.length ?? 0);
  if (message !== undefined) {
    frame.set(message, MESSAGE_HEADER_LENGTH);
  }
  return frame;
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
