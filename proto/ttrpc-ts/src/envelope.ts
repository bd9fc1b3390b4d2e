import { allocateFrame, MESSAGE_HEADER_LENGTH, MessageType } from "./frame.ts";
import { appendMetadata, type Metadata, NO_METADATA } from "./metadata.ts";
import { Code, type StatusDetail, StatusError } from "./status.ts";
import { fieldSize, tagOf, utf8Length, varintSize, WireReader, WireType, WireWriter } from "./wire.ts";

/**
 * `ttrpc.Request`: what opens a stream. A timeout of 0 ns means none.
 * https://github.com/containerd/ttrpc/blob/main/request.proto
 */
export interface Request {
  readonly service: string;
  readonly method: string;
  readonly payload: Uint8Array;
  readonly timeoutNano: number;
  readonly metadata: Metadata;
}

/**
 * `ttrpc.Response`: what ends a stream; `status` is absent when the call succeeded.
 * https://github.com/containerd/ttrpc/blob/main/request.proto
 */
export interface Response {
  readonly status?: StatusError;
  readonly payload: Uint8Array;
}

const NO_BYTES: Uint8Array = new Uint8Array(0);
const INT64_MAX = 0x7fff_ffff_ffff_fc00; // the largest below 2^63 that a number can be

const BYTES_1 = tagOf(1, WireType.BYTES);
const BYTES_2 = tagOf(2, WireType.BYTES);
const BYTES_3 = tagOf(3, WireType.BYTES);
const BYTES_5 = tagOf(5, WireType.BYTES);
const VARINT_1 = tagOf(1, WireType.VARINT);
const VARINT_4 = tagOf(4, WireType.VARINT);

/** A whole request frame. Throws RESOURCE_EXHAUSTED when the message would be longer than `maxBytes`. */
export function encodeRequest(streamId: number, flags: number, request: Request, maxBytes: number): Uint8Array {
  const { service, method, payload, metadata } = request;
  const timeoutNano = Math.min(request.timeoutNano, INT64_MAX);
  const serviceBytes = utf8Length(service);
  const methodBytes = utf8Length(method);
  let size = fieldSize(serviceBytes) + fieldSize(methodBytes);
  if (payload.length > 0) {
    size += fieldSize(payload.length);
  }
  if (timeoutNano > 0) {
    size += 1 + varintSize(timeoutNano);
  }
  if (metadata !== NO_METADATA) {
    for (const key of Object.keys(metadata)) {
      for (const value of metadata[key] ?? []) {
        size += fieldSize(keyValueSize(key.toLowerCase(), value));
      }
    }
  }
  assertLength(size, maxBytes);
  const frame = allocateFrame(MessageType.REQUEST, flags, streamId, size);
  const writer = new WireWriter(frame, MESSAGE_HEADER_LENGTH);
  writer.string(1, service, serviceBytes);
  writer.string(2, method, methodBytes);
  if (payload.length > 0) {
    writer.bytes(3, payload);
  }
  if (timeoutNano > 0) {
    writer.varint(VARINT_4);
    writer.varint(timeoutNano);
  }
  if (metadata !== NO_METADATA) {
    for (const key of Object.keys(metadata)) {
      // containerd's ttrpc looks keys up in lower case only
      const name = key.toLowerCase();
      for (const value of metadata[key] ?? []) {
        writer.prefix(5, keyValueSize(name, value));
        writer.string(1, name, utf8Length(name));
        writer.string(2, value, utf8Length(value));
      }
    }
  }
  return frame;
}

/** Throws an Error that says why the bytes are no Request. The payload is a view of the bytes. */
export function decodeRequest(bytes: Uint8Array): Request {
  const reader = new WireReader(bytes);
  let service = "";
  let method = "";
  let payload = NO_BYTES;
  let timeoutNano = 0;
  let metadata = NO_METADATA;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === BYTES_1) {
      service = reader.string();
    } else if (tag === BYTES_2) {
      method = reader.string();
    } else if (tag === BYTES_3) {
      payload = reader.bytes();
    } else if (tag === VARINT_4) {
      timeoutNano = reader.int64();
    } else if (tag === BYTES_5) {
      metadata = decodeKeyValue(reader.bytes(), metadata);
    } else {
      reader.skip(tag);
    }
  }
  return { service, method, payload, timeoutNano, metadata };
}

/** A whole response frame of a call that succeeded. Throws RESOURCE_EXHAUSTED when longer than `maxBytes`. */
export function encodeResponse(streamId: number, payload: Uint8Array, maxBytes: number): Uint8Array {
  const size = payload.length > 0 ? fieldSize(payload.length) : 0;
  assertLength(size, maxBytes);
  const frame = allocateFrame(MessageType.RESPONSE, 0, streamId, size);
  if (size > 0) {
    new WireWriter(frame, MESSAGE_HEADER_LENGTH).bytes(2, payload);
  }
  return frame;
}

/** A whole response frame of a call that failed; details, then the message, give way when it would be too long. */
export function encodeStatus(streamId: number, error: StatusError, maxBytes: number): Uint8Array {
  let { message, details } = error;
  // a failure never goes out as OK, whatever a handler threw
  const code = error.code > 0 ? error.code : Code.UNKNOWN;
  let size = statusSize(code, message, details);
  if (fieldSize(size) > maxBytes) {
    details = [];
    message = message.slice(0, Math.max(0, Math.floor(maxBytes / 3) - 32)); // a unit is 3 bytes at most
    size = statusSize(code, message, details);
  }
  const frame = allocateFrame(MessageType.RESPONSE, 0, streamId, fieldSize(size));
  const writer = new WireWriter(frame, MESSAGE_HEADER_LENGTH);
  writer.prefix(1, size);
  writer.varint(VARINT_1);
  writer.varint(code);
  if (message !== "") {
    writer.string(2, message, utf8Length(message));
  }
  for (const detail of details) {
    writer.prefix(3, keyValueSize(detail.typeUrl, detail.value));
    writer.string(1, detail.typeUrl, utf8Length(detail.typeUrl));
    writer.bytes(2, detail.value);
  }
  return frame;
}

/** Throws an Error that says why the bytes are no Response. The payload is a view of the bytes. */
export function decodeResponse(bytes: Uint8Array): Response {
  const reader = new WireReader(bytes);
  let status: StatusError | undefined;
  let payload = NO_BYTES;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === BYTES_1) {
      status = decodeStatus(reader.bytes());
    } else if (tag === BYTES_2) {
      payload = reader.bytes();
    } else {
      reader.skip(tag);
    }
  }
  return status === undefined ? { payload } : { status, payload };
}

/** The error both sides give for a message above the limit, in the words of containerd's ttrpc. */
export function oversized(length: number, maxBytes: number): StatusError {
  return new StatusError(
    Code.RESOURCE_EXHAUSTED,
    `message length ${length} exceed maximum message size of ${maxBytes}`,
  );
}

/** Throws RESOURCE_EXHAUSTED for a message longer than `maxBytes`. */
export function assertLength(length: number, maxBytes: number): void {
  if (length > maxBytes) {
    throw oversized(length, maxBytes);
  }
}

function decodeKeyValue(bytes: Uint8Array, metadata: Metadata): Metadata {
  const reader = new WireReader(bytes);
  let key = "";
  let value = "";
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === BYTES_1) {
      key = reader.string();
    } else if (tag === BYTES_2) {
      value = reader.string();
    } else {
      reader.skip(tag);
    }
  }
  return appendMetadata(metadata, key, value);
}

// Some servers spell success out as a status of code 0: no error object is made for it.
function decodeStatus(bytes: Uint8Array): StatusError | undefined {
  const reader = new WireReader(bytes);
  let code = 0;
  let message = "";
  const details: StatusDetail[] = [];
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === VARINT_1) {
      code = reader.int32();
    } else if (tag === BYTES_2) {
      message = reader.string();
    } else if (tag === BYTES_3) {
      details.push(decodeAny(reader.bytes()));
    } else {
      reader.skip(tag);
    }
  }
  if (code === Code.OK) {
    return undefined;
  }
  const known = code > 0 && code <= Code.UNAUTHENTICATED ? (code as Code) : Code.UNKNOWN;
  return new StatusError(known, message, details.length > 0 ? { details } : undefined);
}

function decodeAny(bytes: Uint8Array): StatusDetail {
  const reader = new WireReader(bytes);
  let typeUrl = "";
  let value = NO_BYTES;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === BYTES_1) {
      typeUrl = reader.string();
    } else if (tag === BYTES_2) {
      value = reader.bytes();
    } else {
      reader.skip(tag);
    }
  }
  return { typeUrl, value };
}

function keyValueSize(key: string, value: string | Uint8Array): number {
  return fieldSize(utf8Length(key)) + fieldSize(typeof value === "string" ? utf8Length(value) : value.length);
}

function statusSize(code: number, message: string, details: readonly StatusDetail[]): number {
  let size = 1 + varintSize(code) + (message === "" ? 0 : fieldSize(utf8Length(message)));
  for (const detail of details) {
    size += fieldSize(keyValueSize(detail.typeUrl, detail.value));
  }
  return size;
}
