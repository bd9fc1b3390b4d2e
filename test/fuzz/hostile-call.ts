import { contracts } from "@kuasar/proto/message-arbitraries";
import type { Service } from "@kuasar/proto/message-type";
import fc from "fast-check";
import protobuf from "protobufjs";
import type { Answer, Call } from "./frame-peer.ts";
import { type Damage, damaged, damages, hostileName, hostileNumber, real, type Text, textOf } from "./hostile.ts";

/** One call: sensible but for some of its fields, or for its bytes. */
export interface HostileCall {
  readonly method: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, Text>>;
  readonly damage?: readonly Damage[];
  /** It is not waited for before the next. */
  readonly alongside: boolean;
}

/** What a field holds that means no harm, by its name; a field that is not named is mostly left out. */
export type Sensible = Readonly<Record<string, readonly unknown[]>>;

const ANY_TYPES = [
  "",
  "containerd.runc.v1.Options",
  "containerd.runc.v1.CheckpointOptions",
  "runtimeoptions.v1.Options",
  "runtime.v1.PodSandboxConfig",
  "type.googleapis.com/google.protobuf.Any",
  "no.such.Type",
];

const hostileAny = fc.record({
  typeUrl: fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...ANY_TYPES) }, { weight: 1, arbitrary: hostileName }),
  value: fc.oneof(
    fc.string({ maxLength: 30 }).map((text) => ({ "base64:": Buffer.from(text).toString("base64") })),
    fc.uint8Array({ maxLength: 30 }).map((bytes) => ({ "base64:": Buffer.from(bytes).toString("base64") })),
  ),
});

const scalars: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  string: hostileName,
  bool: fc.boolean(),
  bytes: fc.uint8Array({ maxLength: 30 }).map((bytes) => ({ "base64:": Buffer.from(bytes).toString("base64") })),
};

function hostileValue(field: protobuf.Field): fc.Arbitrary<unknown> {
  const { resolvedType } = field;
  let one: fc.Arbitrary<unknown>;
  if (resolvedType instanceof protobuf.Type) {
    one = resolvedType.fullName === ".google.protobuf.Any" ? hostileAny : hostileFields(resolvedType, {});
  } else {
    one = scalars[field.type] ?? hostileNumber;
  }
  if (field.map) return fc.dictionary(fc.string({ maxLength: 5 }), one, { maxKeys: 3, noNullPrototype: true });
  return field.repeated ? fc.array(one, { maxLength: 3 }) : one;
}

export function hostileFields(type: protobuf.Type, sensible: Sensible): fc.Arbitrary<Record<string, unknown>> {
  const record: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of type.fieldsArray) {
    const values = sensible[field.name];
    const usual = values ? fc.constantFrom(...values) : fc.constant(undefined);
    record[field.name] = fc.oneof({ weight: 12, arbitrary: usual }, { weight: 1, arbitrary: hostileValue(field) });
  }
  return fc
    .record(record)
    .map((fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)));
}

export interface CallVocabulary {
  readonly service: Service;
  readonly sensible: Sensible;
  readonly metadata: Readonly<Record<string, string>>;
  readonly without?: readonly string[];
}

export function hostileCalls({ service, sensible, metadata, without = [] }: CallVocabulary): fc.Arbitrary<HostileCall> {
  const asked = Object.values(service.methods).filter(({ name }) => !without.includes(name));
  const methods = asked.map(({ name, input }) =>
    fc.record(
      {
        method: fc.constant(name),
        fields: hostileFields(contracts.lookupType((input as { typeName: string }).typeName), sensible),
        metadata: fc.oneof(
          { weight: 15, arbitrary: fc.constant(metadata) },
          {
            weight: 1,
            arbitrary: fc.dictionary(fc.constantFrom(...Object.keys(metadata)), hostileName, { noNullPrototype: true }),
          },
        ),
        damage: damages,
        alongside: fc.boolean(),
      },
      { requiredKeys: ["method", "fields", "metadata", "alongside"] },
    ),
  );
  const undamaged = fc.oneof(...methods).map(({ damage: _, ...call }) => call as HostileCall);
  return fc.oneof(
    { weight: 6, arbitrary: undamaged },
    { weight: 1, arbitrary: fc.oneof(...methods) as fc.Arbitrary<HostileCall> },
  );
}

/** The call as it goes out. `places` are what $NAMES in its strings stand for. */
export function toCall(service: Service, hostile: HostileCall, places: Readonly<Record<string, string>>): Call {
  const method = Object.values(service.methods).find(({ name }) => name === hostile.method);
  if (!method) throw new Error(`no method ${hostile.method} in ${service.name}`);
  const input = method.input as unknown as { create(fields: unknown): unknown; encode(message: unknown): Uint8Array };
  const payload = input.encode(input.create(inPlace(real(hostile.fields), places)));
  const metadata = Object.entries(hostile.metadata).map(([key, text]) => [
    key,
    inPlace(textOf(text), places) as string,
  ]);
  return {
    service: service.name,
    method: hostile.method,
    payload: hostile.damage ? damaged(payload, hostile.damage) : payload,
    metadata: Object.fromEntries(metadata),
  };
}

function inPlace(value: unknown, places: Readonly<Record<string, string>>): unknown {
  if (typeof value === "string") return value.replace(/\$[A-Z]+/g, (name) => places[name] ?? name);
  if (Array.isArray(value)) return value.map((item) => inPlace(item, places));
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, inPlace(field, places)]));
}

const UNKNOWN = 2;
const INTERNAL = 13;
const ENGINE_FAULT = /is not a function|is not iterable|annot read propert|undefined|\[object|not a valid|is null/;
/** Words of the runc shim's, which clients know, and of the kernel's: the runc shim gives both with this code. */
const UNKNOWN_EXCUSED =
  /^cannot \w+ |: (no such \w+|not a directory|is a directory|permission denied|operation not permitted|invalid argument|file name too long|no such device or address|argument list too long|device or resource busy|exec format error)/;

/** Throws for an answer that tells of a fault of the server, rather than of the caller. */
export function requireHonest({ code, message }: Answer, what: string): void {
  const excused = code === UNKNOWN && UNKNOWN_EXCUSED.test(message);
  if ((code === UNKNOWN && !excused) || code === INTERNAL || ENGINE_FAULT.test(message)) {
    throw new Error(`${what}: code ${code}: ${message.slice(0, 300)}`);
  }
}
