import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import protobuf from "protobufjs";
import type { MessageType } from "./message-type.ts";
import { TableMessage } from "./table/message.ts";

type Fields = Record<string, unknown>;
type AnyMessageType = MessageType<Fields, Fields>;

const sources = fileURLToPath(new URL("./src", import.meta.url));

/** The contracts as protobufjs reflects them. */
export const contracts = new protobuf.Root();
for (const file of readdirSync(sources, { recursive: true, encoding: "utf8" })) {
  if (file.endsWith(".proto")) protobuf.parse(readFileSync(join(sources, file), "utf8"), contracts);
}
contracts.resolveAll();

/** The messages of a generated module, by full name. */
export function* messagesOf(namespace: object): Generator<[string, AnyMessageType]> {
  for (const member of Object.values(namespace)) {
    if (typeof member?.typeName === "string") yield [member.typeName, member];
    // Messages inside a message are properties of its class; what else an object has is its own affair.
    const holder = typeof member === "function" || (typeof member === "object" && !(member instanceof TableMessage));
    if (holder && member) yield* messagesOf(member);
  }
}

const scalars: Record<string, fc.Arbitrary<unknown>> = {
  string: fc.oneof(fc.string({ unit: "grapheme" }), fc.string({ minLength: 100, maxLength: 300 })),
  bytes: fc.uint8Array({ maxLength: 200 }),
  bool: fc.boolean(),
  uint32: fc.nat({ max: 0xffff_ffff }),
  int32: fc.integer(),
  uint64: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  int64: fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }),
};

/** Any fields that a message may be made of, each there or not. */
export function fieldsFor(type: protobuf.Type): fc.Arbitrary<Fields> {
  const record: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of type.fieldsArray) record[field.name] = valueFor(field);
  return fc.record(record, { requiredKeys: [] });
}

function valueFor(field: protobuf.Field): fc.Arbitrary<unknown> {
  const one = oneFor(field);
  if (field.map) {
    const key = fc.string().filter((text) => text !== "__proto__");
    return fc.dictionary(key, one, { maxKeys: 4, noNullPrototype: true });
  }
  return field.repeated ? fc.array(one, { maxLength: 4 }) : one;
}

function oneFor(field: protobuf.Field): fc.Arbitrary<unknown> {
  if (field.resolvedType instanceof protobuf.Type) return fieldsFor(field.resolvedType);
  if (field.resolvedType) return fc.constantFrom(...Object.values(field.resolvedType.values));
  const scalar = scalars[field.type];
  if (!scalar) throw new Error(`${field.fullName}: no arbitrary for ${field.type}`);
  return scalar;
}

/** What a message of protobufjs' reflection holds, defaults included. */
export function reflected(message: protobuf.Message): unknown {
  return plain(message.$type.toObject(message, { defaults: true, longs: Number }));
}

/** One form for what different codecs make of a message: no absent fields, and bytes as lists of numbers. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: [...value] };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const present = Object.entries(value).filter(([, field]) => field !== null && field !== undefined);
  return Object.fromEntries(present.map(([name, field]) => [name, plain(field)]));
}
