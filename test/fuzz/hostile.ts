// Values that whoever writes them means no good with. All of them are JSON; `real` makes what they stand for.
import { fieldsFor } from "@kuasar/proto/message-arbitraries";
import fc from "fast-check";
import type protobuf from "protobufjs";

/** A string, or one that is too long to be written down. */
export type Text = string | { readonly repeat: string; readonly times: number };

/** Bytes, in hexadecimal. */
export type Hex = string;

const NAMES = [
  "",
  ".",
  "..",
  "../x",
  "a/b",
  "/",
  "//",
  "-",
  "--help",
  "a\0b",
  "\0",
  "a\nb",
  "é",
  "\ud800",
  "%s%n",
  "~",
  "*",
];
const PROPERTIES = ["__proto__", "constructor", "toString", "hasOwnProperty", "length", "valueOf"];

export const hostileName: fc.Arbitrary<Text> = fc.oneof(
  fc.constantFrom(...NAMES, ...PROPERTIES),
  fc.string({ unit: "binary", maxLength: 12 }),
  fc.record({ repeat: fc.constantFrom("x", "/", "../", "é", "\0"), times: fc.constantFrom(77, 4096, 70_000) }),
);

/** Much rarer: it takes its time. */
export const hugeText: fc.Arbitrary<Text> = fc.constant({ repeat: "y", times: 3_500_000 });

export const hostileNumber = fc.oneof(
  fc.constantFrom(
    0,
    -1,
    1,
    65,
    255,
    0x7fff_ffff,
    -0x8000_0000,
    0xffff_ffff,
    Number.MAX_SAFE_INTEGER,
    -Number.MAX_SAFE_INTEGER,
  ),
  fc.integer(),
);

export const hex = (maxLength: number): fc.Arbitrary<Hex> =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString("hex"));

/** What is done to well-formed bytes, each at a place between 0 and 1. */
export interface Damage {
  readonly how: "flip" | "cut" | "insert" | "drop" | "repeat";
  readonly at: number;
  readonly byte: number;
}

export const damages: fc.Arbitrary<Damage[]> = fc.array(
  fc.record({
    how: fc.constantFrom("flip" as const, "cut" as const, "insert" as const, "drop" as const, "repeat" as const),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    byte: fc.nat({ max: 255 }),
  }),
  { minLength: 1, maxLength: 4 },
);

export function damaged(bytes: Uint8Array, list: readonly Damage[]): Uint8Array {
  let result = Buffer.from(bytes);
  for (const { how, at, byte } of list) {
    const place = Math.floor(at * result.length);
    const before = result.subarray(0, place);
    const after = result.subarray(place);
    if (how === "cut") result = Buffer.from(before);
    else if (how === "insert") result = Buffer.concat([before, Buffer.from([byte]), after]);
    else if (how === "drop") result = Buffer.concat([before, after.subarray(1)]);
    else if (how === "repeat") result = Buffer.concat([before, after.subarray(0, byte), after]);
    else if (place < result.length) result[place] = (result[place] as number) ^ (byte || 0xff);
  }
  return result;
}

/** Any fields of a message, with values of their types. */
export function anyFields(type: protobuf.Type): fc.Arbitrary<unknown> {
  return fieldsFor(type).map(asJson);
}

const UINT8 = "base64:";

function asJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return { [UINT8]: Buffer.from(value).toString("base64") };
  if (Array.isArray(value)) return value.map(asJson);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, asJson(field)]));
}

/** What a value in an input stands for. */
export function real(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(real);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  const fields = value as Record<string, unknown>;
  if (typeof fields.repeat === "string" && typeof fields.times === "number") return fields.repeat.repeat(fields.times);
  if (typeof fields[UINT8] === "string") return new Uint8Array(Buffer.from(fields[UINT8], "base64"));
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, real(field)]));
}

export const textOf = (text: Text): string => real(text) as string;
