import fc from "fast-check";
import { type FramePeer, frame, HEADER_BYTES, MESSAGE_BYTES_MAX, MessageType, requestBody } from "./frame-peer.ts";
import {
  type Damage,
  damaged,
  damages,
  type Hex,
  hex,
  hostileName,
  hostileNumber,
  type Text,
  textOf,
} from "./hostile.ts";

/** What a client that does not keep to the protocol may send on one connection. */
export type Step =
  | {
      readonly request: { readonly service: Text; readonly method: Text; readonly payload: Hex };
      readonly stream: number;
      readonly flags: number;
      readonly timeoutNano: number;
      readonly metadata: Readonly<Record<string, Text>>;
      readonly damage?: readonly Damage[];
    }
  | {
      readonly type: number;
      readonly flags: number;
      readonly stream: number;
      readonly body: Hex;
      readonly claims?: number;
    }
  | { readonly bytes: Hex };

export interface Conversation {
  readonly steps: readonly Step[];
  /** Where the bytes are cut into pieces that are sent one after the other. */
  readonly pieces: readonly number[];
}

/** A service's methods, and bytes that one of them may be asked with. */
export interface Vocabulary {
  readonly services: Readonly<Record<string, readonly string[]>>;
  readonly payload: fc.Arbitrary<Hex>;
}

const streams = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: 12 }) },
  { weight: 1, arbitrary: fc.constantFrom(0x7fff_ffff, 0x8000_0001, 0xffff_fffe, 0xffff_ffff) },
);
const flags = fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.nat({ max: 255 }) });

export function conversations({ services, payload }: Vocabulary): fc.Arbitrary<Conversation> {
  const known = fc.constantFrom(
    ...Object.entries(services).flatMap(([service, methods]) => methods.map((method) => ({ service, method }))),
  );
  const named = fc.oneof(
    { weight: 8, arbitrary: known },
    { weight: 1, arbitrary: fc.record({ service: hostileName, method: hostileName }) },
    { weight: 1, arbitrary: fc.record({ service: known.map(({ service }) => service), method: hostileName }) },
  );
  const request = fc.record(
    {
      request: fc.tuple(named, payload).map(([names, bytes]) => ({ ...names, payload: bytes })),
      stream: streams,
      flags,
      timeoutNano: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: hostileNumber }),
      metadata: fc.dictionary(
        fc.constantFrom("containerd-namespace-ttrpc", "kuasar-sandbox-id", "__proto__", ""),
        hostileName,
        {
          maxKeys: 2,
          noNullPrototype: true,
        },
      ),
      damage: damages,
    },
    { requiredKeys: ["request", "stream", "flags", "timeoutNano", "metadata"] },
  );
  const raw = fc.record(
    {
      type: fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 255 })),
      flags: fc.nat({ max: 255 }),
      stream: streams,
      body: hex(40),
      claims: fc.oneof(
        fc.nat({ max: 200 }),
        fc.constantFrom(MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX + 1, 0xff_ffff, 0xffff_ffff),
      ),
    },
    { requiredKeys: ["type", "flags", "stream", "body"] },
  );
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 8, arbitrary: request },
    { weight: 4, arbitrary: raw },
    { weight: 1, arbitrary: hex(60).map((bytes) => ({ bytes })) },
  );
  return fc.record({
    steps: fc.array(step, { maxLength: 12 }),
    pieces: fc.array(fc.nat({ max: 400 }), { maxLength: 6 }),
  });
}

function bytesOf(step: Step): Uint8Array {
  if ("bytes" in step) return Buffer.from(step.bytes, "hex");
  if ("type" in step) return frame(step.type, step.flags, step.stream, Buffer.from(step.body, "hex"), step.claims);
  const { request, stream, timeoutNano, metadata } = step;
  const body = requestBody({
    service: textOf(request.service),
    method: textOf(request.method),
    payload: Buffer.from(request.payload, "hex"),
    timeoutNano,
    metadata: Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, textOf(value)])),
  });
  return frame(MessageType.REQUEST, step.flags, stream, step.damage ? damaged(body, step.damage) : body);
}

interface Reading {
  /** The streams of requests that the protocol allows, each of which must be answered. */
  readonly opened: ReadonlySet<number>;
  readonly named: ReadonlySet<number>;
  readonly last: number;
  /** The server may close the connection: it was sent what no client sends. */
  readonly nonsense: boolean;
  /** The next frame would be read as one. */
  readonly whole: boolean;
}

/** How a server has to read the bytes, by ttrpc's PROTOCOL.md alone. */
function read(bytes: Buffer): Reading {
  const opened = new Set<number>();
  const named = new Set<number>();
  let last = 0;
  let at = 0;
  while (at + HEADER_BYTES <= bytes.length) {
    const length = bytes.readUInt32BE(at);
    const stream = bytes.readUInt32BE(at + 4);
    const type = bytes.readUInt8(at + 8);
    const known = type >= MessageType.REQUEST && type <= MessageType.DATA;
    if (length > MESSAGE_BYTES_MAX && !known) return { opened, named, last, nonsense: true, whole: false };
    named.add(stream);
    at += HEADER_BYTES + length;
    if (length > MESSAGE_BYTES_MAX) {
      if (type === MessageType.REQUEST && stream % 2 === 1) last = Math.max(last, stream);
      continue;
    }
    if (at > bytes.length) break;
    if (stream % 2 === 1 && type === MessageType.RESPONSE) return { opened, named, last, nonsense: true, whole: false };
    if (stream % 2 === 1 && type === MessageType.REQUEST && stream > last) {
      opened.add(stream);
      last = stream;
    }
  }
  return { opened, named, last, nonsense: false, whole: at === bytes.length };
}

/**
 * Has it on one connection, whose every request must be answered. `ping` is a call that the server always answers;
 * `patient` tells of streams that need not be answered before it.
 */
export async function converse(
  peer: FramePeer,
  { steps, pieces }: Conversation,
  ping: (streamId: number) => Promise<unknown>,
  isPatient: (step: Step) => boolean = () => false,
): Promise<void> {
  const bytes = Buffer.concat(steps.map(bytesOf));
  const { opened, named, last, nonsense, whole } = read(bytes);
  let at = 0;
  for (const length of pieces) {
    peer.send(bytes.subarray(at, at + length));
    at = Math.min(bytes.length, at + length);
    await new Promise((resolve) => setImmediate(resolve));
  }
  peer.send(bytes.subarray(at));
  if (nonsense) {
    await peer.until("the end of a connection with nonsense", () => peer.closed || undefined);
  } else if (whole && last < 0xffff_fffd) {
    await ping(last + 2);
    const patient = steps.some(isPatient);
    const missing = () => [...opened].find((stream) => !peer.answers.some(({ streamId }) => streamId === stream));
    if (!patient) await peer.until("an answer to every request", () => (missing() === undefined ? true : undefined));
  }
  const strange = peer.answers.find(({ streamId }) => !named.has(streamId) && streamId !== last + 2);
  if (strange) throw new Error(`the server answered on stream ${strange.streamId}, which nobody opened`);
}
