/**
 * WebAssembly modules by their instructions: as much of the binary format as small WASI programs take.
 * https://webassembly.github.io/spec/core/binary/
 */
export interface WasmProgram {
  /** Exported functions without parameters and results: `_start` and others. */
  readonly functions: Readonly<Record<string, Code>>;
  /** Pages of 64 KiB. Default: 1 at first, and no limit. */
  readonly pages?: number;
  /** What memory holds at first. */
  readonly data?: readonly { readonly at: number; readonly content: Uint8Array | string }[];
}

/** Instructions. */
export type Code = readonly (number | Code)[];

const I32 = 0x7f;
const I64 = 0x7e;
const WASI = "wasi_snapshot_preview1";

/** The functions of WASI preview 1 that programs here may call, with their parameters; each but the last has a result. */
const IMPORTS = {
  args_sizes_get: [I32, I32],
  args_get: [I32, I32],
  environ_sizes_get: [I32, I32],
  environ_get: [I32, I32],
  fd_read: [I32, I32, I32, I32],
  fd_write: [I32, I32, I32, I32],
  path_open: [I32, I32, I32, I32, I32, I64, I64, I32, I32],
  poll_oneoff: [I32, I32, I32, I32],
  proc_exit: [I32],
} as const;

type Import = keyof typeof IMPORTS;

const names = Object.keys(IMPORTS) as Import[];

export const i32 = (value: number): Code => [0x41, signedLeb(BigInt(value))];
export const i64 = (value: bigint): Code => [0x42, signedLeb(value)];
export const call = (name: Import, ...args: Code[]): Code => [...args, 0x10, leb(names.indexOf(name))];
export const drop = (code: Code): Code => [code, 0x1a];
export const load = (address: number): Code => [i32(address), 0x28, 2, 0];
export const loadByte = (address: Code): Code => [address, 0x2d, 0, 0];
export const store = (address: number, value: Code): Code => [i32(address), value, 0x36, 2, 0];
export const storeLong = (address: number, value: Code): Code => [i32(address), value, 0x37, 3, 0];
export const unreachable: Code = [0x00];
/** Again and again. */
export const loop = (...code: Code[]): Code => [0x03, 0x40, ...code, 0x0c, 0, 0x0b];
export const when = (condition: Code, ...code: Code[]): Code => [condition, 0x04, 0x40, ...code, 0x0b];
export const isZero = (value: Code): Code => [value, 0x45];
export const equal = (a: Code, b: Code): Code => [a, b, 0x46];
export const add = (a: Code, b: Code): Code => [a, b, 0x6a];
export const growMemory = (pages: Code): Code => [pages, 0x40, 0];
export const memoryPages: Code = [0x3f, 0];
export const multiply = (a: Code, b: Code): Code => [a, b, 0x6c];
export const subtract = (a: Code, b: Code): Code => [a, b, 0x6b];
/** Of 64 bits, from one of 32 without a sign. */
export const long = (value: Code): Code => [value, 0xad];
export const multiplyLong = (a: Code, b: Code): Code => [a, b, 0x7e];
/** memory.fill */
export const fill = (at: Code, byte: number, length: Code): Code => [at, i32(byte), length, 0xfc, 11, 0];
export const exit = (status: Code): Code => call("proc_exit", status);

/** The module's bytes. */
export function wasmBinary({ functions, pages = 1, data = [] }: WasmProgram): Buffer {
  const types = [
    ...names.map((name) => [0x60, vector(IMPORTS[name]), vector(name === "proc_exit" ? [] : [I32])]),
    [0x60, 0, 0],
  ];
  const bodies = Object.values(functions).map((code) => {
    const body = bytes([0, code, 0x0b]);
    return [leb(body.length), ...body];
  });
  const exports = Object.keys(functions).map((name, index) => [text(name), 0x00, leb(names.length + index)]);
  return Buffer.concat([
    bytes([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]),
    section(1, vector(types)),
    section(2, vector(names.map((name, index) => [text(WASI), text(name), 0x00, leb(index)]))),
    section(3, vector(bodies.map(() => leb(names.length)))),
    section(5, vector([[0x00, leb(pages)]])),
    section(7, vector([[text("memory"), 0x02, 0], ...exports])),
    section(10, vector(bodies)),
    dataSection(data),
  ]);
}

function section(id: number, content: Code): Buffer {
  const body = bytes(content);
  return Buffer.concat([bytes([id, leb(body.length)]), body]);
}

/** Put together apart from all else: a segment may be large. */
function dataSection(data: NonNullable<WasmProgram["data"]>): Buffer {
  const segments = data.map(({ at, content }) => {
    const body = Buffer.from(content as string);
    return Buffer.concat([bytes([0x00, i32(at), 0x0b, leb(body.length)]), body]);
  });
  const body = Buffer.concat([bytes(leb(segments.length)), ...segments]);
  return Buffer.concat([bytes([11, leb(body.length)]), body]);
}

function vector(items: Code): Code {
  return [leb(items.length), ...items];
}

function text(value: string): Code {
  return vector([...Buffer.from(value)]);
}

function bytes(code: Code): Buffer {
  return Buffer.from([...flat(code)]);
}

function* flat(code: Code): Iterable<number> {
  for (const part of code) {
    if (typeof part === "number") yield part;
    else yield* flat(part);
  }
}

function leb(value: number): Code {
  const result: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...result, rest];
    result.push((rest % 128) | 0x80);
  }
}

function signedLeb(value: bigint): Code {
  const result: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    const byte = Number(rest & 0x7fn);
    if ((rest < 64n && rest >= 0n) || (rest < 0n && rest >= -64n)) return [...result, byte];
    result.push(byte | 0x80);
  }
}
