import protobuf from "protobufjs/minimal.js";

export const { Writer, util } = protobuf;

/** Where generated modules keep their namespaces; our own, since another package may use protobufjs too. */
export const roots: Record<string, object> = {};

/**
 * protobufjs hands out 64-bit integers as Long objects wherever the package long is installed. Its own switch for
 * that is global; this reader gives the nearest numbers whatever others do.
 */
export class Reader extends protobuf.Reader {
  static override create(bytes: Uint8Array): Reader {
    return new Reader(bytes);
  }
}

for (const name of ["int64", "uint64", "sint64", "fixed64", "sfixed64"] as const) {
  const readNumber = function (this: protobuf.Reader): number {
    // Looked up at each call, since protobufjs puts other methods there when it is configured anew.
    const value: unknown = protobuf.Reader.prototype[name].call(this);
    return typeof value === "number" ? value : (value as { toNumber(): number }).toNumber();
  };
  Object.defineProperty(Reader.prototype, name, { value: readNumber });
}

type Encode = (message: object, writer?: protobuf.Writer, depth?: number) => protobuf.Writer;

interface GeneratedClass {
  typeName?: string;
  encode(message: object, writer?: protobuf.Writer, depth?: number): protobuf.Writer | Uint8Array;
}

/** Makes a generated class a codec, which encodes to bytes: only the messages around it hand over a writer. */
export function asCodec(type: GeneratedClass, typeName: string): void {
  const encode = type.encode as Encode;
  type.typeName = typeName;
  type.encode = (message, writer, depth) => (writer ? encode(message, writer, depth) : encode(message).finish());
}
