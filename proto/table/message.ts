import {
  decodeFrom,
  more,
  readBytes,
  readDelimited,
  readInt64,
  readString,
  readTag,
  readUint32,
  readUint64,
  skip,
} from "./reader.ts";
import {
  beginDelimited,
  collect,
  endDelimited,
  writeBytes,
  writeString,
  writeVarint32,
  writeVarint64,
} from "./writer.ts";

/**
 * A message's codec, driven by a line of text: a word a field, made of its number, a letter for its type (below), `*`
 * if it is repeated or `?` if it is an optional scalar, and its name, as in `1s:id 3m*:rootfs`. Compared with code for
 * each field this is a twentieth of the size. The words are taken apart at once: a native program's modules are
 * evaluated by the build, and what they have made by then all its processes share.
 */
export class TableMessage {
  private readonly fields: readonly Field[];
  /** Where in these the field of a number is. */
  private readonly places: readonly number[];
  /** The defaults that all messages may share. */
  private readonly shared: Readonly<Values>;

  /**
   * @param typeName the full name
   * @param table its fields, in the order of their numbers
   * @param types the messages of its fields of type m, in order
   */
  constructor(
    readonly typeName: string,
    table: string,
    types: readonly TableMessage[] = [],
  ) {
    this.fields = fieldsOf(table, types);
    const length = 1 + Math.max(0, ...this.fields.map(({ number }) => number));
    this.places = Array.from({ length }, (_, at) => this.fields.findIndex(({ number }) => number === at));
    this.shared = sharedDefaults(this.fields);
  }

  /** Throws an Error if a value is not of its field's type in a way that matters here. */
  encode(message: Values): Uint8Array {
    return collect(() => this.write(message));
  }

  /** Throws an Error that says what is wrong with the bytes. */
  decode(bytes: Uint8Array): Values {
    return decodeFrom(bytes, () => this.read(this.empty()));
  }

  /** A message with the default in every field that is not given. */
  create(values: Values = {}): Values {
    const message: Values = {};
    for (const field of this.fields) {
      const value = values[field.name] ?? defaultOf(field);
      if (value !== undefined) message[field.name] = value;
    }
    return message;
  }

  private empty(): Values {
    const message = { ...this.shared };
    for (const field of this.fields) if (field.isFresh) message[field.name] = defaultOf(field);
    return message;
  }

  private write(message: Values): void {
    for (const field of this.fields) {
      const value = message[field.name];
      if (value === undefined || value === null) continue;
      if (field.letter === "M") writeMap(field, value as Record<string, string>);
      else if (field.label === "*") writeRepeated(field, value as unknown[]);
      else if (field.label === "?" || field.letter === "m" || !isDefault(value)) writeField(field, value);
    }
  }

  private read(message: Values): Values {
    while (more()) {
      const tag = readTag();
      const field = this.fields[this.places[tag >>> 3] ?? -1];
      if (!field || !readField(field, tag & 7, message)) skip(tag);
    }
    return message;
  }

  static write(type: TableMessage, message: Values): void {
    const start = beginDelimited();
    type.write(message);
    endDelimited(start);
  }

  /** A message field that comes twice is one message, merged. */
  static read(type: TableMessage, merged: unknown): Values {
    return readDelimited(() => type.read((merged as Values | undefined) ?? type.empty()));
  }
}

type Values = Record<string, unknown>;

/** string, bytes, uint32, int32 and enums, bool, uint64, int64, message, map<string, string> */
type Letter = "s" | "b" | "u" | "i" | "z" | "U" | "I" | "m" | "M";

interface Field {
  readonly number: number;
  readonly letter: Letter;
  readonly label: "" | "*" | "?";
  readonly name: string;
  readonly type: TableMessage | undefined;
  readonly wire: 0 | 2;
  /** Its default is an object that is then added to, so each message has its own. */
  readonly isFresh: boolean;
  /** Reads a value; of a message or a map, its field does more. */
  readonly read: (() => unknown) | undefined;
}

const READERS: Readonly<Partial<Record<Letter, () => unknown>>> = {
  s: readString,
  b: readBytes,
  u: readUint32,
  i: () => readUint32() | 0,
  z: () => readUint64() !== 0,
  U: readUint64,
  I: readInt64,
};

const BYTES = 2;
const wireType = (letter: Letter) => ("sbmM".includes(letter) ? BYTES : 0);

function fieldsOf(table: string, types: readonly TableMessage[]): Field[] {
  if (table === "") return [];
  let type = 0;
  return table.split(" ").map((word) => {
    const colon = word.indexOf(":");
    const [, number, letter, label] = /^(\d+)(\w)([*?]?)$/.exec(word.slice(0, colon)) as unknown as string[];
    return {
      number: Number(number),
      letter: letter as Letter,
      label: label as Field["label"],
      name: word.slice(colon + 1),
      type: letter === "m" ? types[type++] : undefined,
      wire: wireType(letter as Letter),
      isFresh: label === "*" || letter === "M",
      read: READERS[letter as Letter],
    };
  });
}

function defaultOf({ letter, label }: Field): unknown {
  if (label === "*") return [];
  if (letter === "M") return {};
  if (label === "?" || letter === "m") return undefined;
  return letter === "s" ? "" : letter === "b" ? new Uint8Array(0) : letter === "z" ? false : 0;
}

function sharedDefaults(fields: readonly Field[]): Values {
  const values = fields.filter(({ isFresh }) => !isFresh).map((field) => [field.name, defaultOf(field)] as const);
  return Object.fromEntries(values.filter(([, value]) => value !== undefined));
}

function isDefault(value: unknown): boolean {
  return value === "" || value === 0 || value === false || (value as Uint8Array).length === 0;
}

function writeTag(field: Field, type: number): void {
  writeVarint32((field.number << 3) | type);
}

function writeField(field: Field, value: unknown): void {
  writeTag(field, wireType(field.letter));
  writeValue(field, value);
}

function writeValue({ letter, type }: Field, value: unknown): void {
  if (letter === "s") writeString(value as string);
  else if (letter === "b") writeBytes(value as Uint8Array);
  else if (letter === "m") TableMessage.write(type as TableMessage, value as Values);
  else if (letter === "u") writeVarint32(value as number);
  else if (letter === "i") writeVarint64((value as number) | 0);
  else if (letter === "z") writeVarint32(value ? 1 : 0);
  else writeVarint64(value as number);
}

function writeRepeated(field: Field, values: readonly unknown[]): void {
  if (wireType(field.letter) === BYTES) {
    for (const value of values) writeField(field, value);
  } else if (values.length > 0) {
    writeTag(field, BYTES);
    const start = beginDelimited();
    for (const value of values) writeValue(field, value);
    endDelimited(start);
  }
}

function writeMap(field: Field, map: Readonly<Record<string, string>>): void {
  for (const key of Object.keys(map)) {
    writeTag(field, BYTES);
    const start = beginDelimited();
    for (const [tag, text] of [
      [0x0a, key],
      [0x12, map[key]],
    ] as [number, string][]) {
      writeVarint32(tag);
      writeString(text);
    }
    endDelimited(start);
  }
}

/** False for a value of another wire type than the field has: an unknown field, then. */
function readField(field: Field, wire: number, message: Values): boolean {
  const { letter, label, name, read } = field;
  if (wire !== field.wire) {
    if (label !== "*" || field.wire === BYTES || wire !== BYTES) return false;
    readPacked(message[name] as unknown[], read as () => unknown);
  } else if (letter === "M") {
    readMapEntry(message[name] as Record<string, string>);
  } else if (label === "*") {
    (message[name] as unknown[]).push(read ? read() : TableMessage.read(field.type as TableMessage, undefined));
  } else {
    message[name] = read ? read() : TableMessage.read(field.type as TableMessage, message[name]);
  }
  return true;
}

function readPacked(values: unknown[], read: () => unknown): void {
  readDelimited(() => {
    while (more()) values.push(read());
  });
}

function readMapEntry(map: Record<string, string>): void {
  let key = "";
  let value = "";
  readDelimited(() => {
    while (more()) {
      const tag = readTag();
      if (tag === 0x0a) key = readString();
      else if (tag === 0x12) value = readString();
      else skip(tag);
    }
  });
  map[key] = value;
}
