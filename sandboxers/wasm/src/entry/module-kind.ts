import type { ModuleKind } from "../engine/wasm-engine.ts";

/** Reads up to so many bytes at an offset. */
export type ReadBytes = (offset: number, length: number) => Promise<Uint8Array>;

const PREAMBLE_BYTES = 8;
const MAGIC = [0x00, 0x61, 0x73, 0x6d];
/** The binary format's version, and its layer: 0 for a module, 1 for a component. */
const MODULE = [1, 0, 0, 0];
const COMPONENT = [0x0d, 0, 1, 0];
const CUSTOM_SECTION = 0;
const EXPORT_SECTION = 11;
const SECTION_HEADER_BYTES = 6;
const CUSTOM_HEAD_BYTES = 64;
/** Bounds, so that a file made for it does not keep anybody busy. */
const SECTIONS_MAX = 10_000;
const EXPORTS_MAX_BYTES = 1 << 20;
const COMMENTS_MAX = 16 * 1024;
const HTTP_HANDLER = /wasi:http\/(incoming-)?handler@/;

/**
 * What the file is, by its first bytes and, for a component, by the names that it exports; undefined for no Wasm.
 * https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md
 */
export async function moduleKind(read: ReadBytes): Promise<ModuleKind | undefined> {
  const preamble = [...(await read(0, PREAMBLE_BYTES))];
  if (isSame(preamble.slice(0, 4), MAGIC)) {
    if (isSame(preamble.slice(4), MODULE)) {
      return "module";
    }
    if (isSame(preamble.slice(4), COMPONENT)) {
      return (await exportsHttp(read)) ? "http component" : "component";
    }
    return undefined;
  }
  return textKind(Buffer.from(await read(0, EXPORTS_MAX_BYTES)).toString("utf8"));
}

/** The text format begins with a bracket, after whatever comments there are. */
function textKind(text: string): ModuleKind | undefined {
  const comments = /^(?:\s|;;[^\n]*(?:\n|$)|\(;(?:(?!;\)).)*;\))*/s.exec(text.slice(0, COMMENTS_MAX))?.[0] ?? "";
  const code = text.slice(comments.length);
  if (/^\(component\b/.test(code)) {
    return HTTP_HANDLER.test(code.slice(code.lastIndexOf("(export"))) ? "http component" : "component";
  }
  return code.startsWith("(") ? "text" : undefined;
}

async function exportsHttp(read: ReadBytes): Promise<boolean> {
  for await (const { id, at, size } of sections(read)) {
    if (id === EXPORT_SECTION && size <= EXPORTS_MAX_BYTES) {
      const names = Buffer.from(await read(at, size)).toString("latin1");
      if (HTTP_HANDLER.test(names)) {
        return true;
      }
    }
  }
  return false;
}

/** Also true of a module with more sections than anybody looks at. */
export async function hasCustomSection(read: ReadBytes, name: string): Promise<boolean> {
  let count = 0;
  for await (const { id, at } of sections(read)) {
    count += 1;
    const head = id === CUSTOM_SECTION ? await read(at, CUSTOM_HEAD_BYTES) : new Uint8Array(0);
    const length = unsignedLeb(head);
    if (length?.value === name.length) {
      const from = length.bytes;
      const found = Buffer.from(head.subarray(from, from + name.length)).toString("latin1");
      if (found === name) {
        return true;
      }
    }
  }
  return count >= SECTIONS_MAX;
}

interface Section {
  readonly id: number;
  /** Where its content begins. */
  readonly at: number;
  readonly size: number;
}

/** Goes from section to section, without a look into them. */
async function* sections(read: ReadBytes): AsyncGenerator<Section> {
  let at = PREAMBLE_BYTES;
  for (let section = 0; section < SECTIONS_MAX; section++) {
    const header = await read(at, SECTION_HEADER_BYTES);
    const size = unsignedLeb(header.subarray(1));
    if (header.length < 2 || size === undefined) {
      return;
    }
    const content = at + 1 + size.bytes;
    yield { id: header[0] as number, at: content, size: size.value };
    at = content + size.value;
  }
}

function unsignedLeb(bytes: Uint8Array): { value: number; bytes: number } | undefined {
  let value = 0;
  for (const [index, byte] of bytes.entries()) {
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) {
      return { value, bytes: index + 1 };
    }
  }
  return undefined;
}

function isSame(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
