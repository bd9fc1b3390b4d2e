export type TarEntry =
  | { readonly path: string; readonly type: "directory"; readonly mode?: number }
  | { readonly path: string; readonly type: "file"; readonly content: Uint8Array; readonly mode?: number }
  | { readonly path: string; readonly type: "symlink"; readonly target: string };

const blockSize = 512;
const typeFlags = { file: "0", symlink: "2", directory: "5" } as const;

/**
 * A POSIX ustar archive (pax(1), "ustar Interchange Format") of root's files, all dated 1970: equal entries make equal
 * bytes, so an image made of them has the same digest on every machine.
 */
export function tarArchive(entries: readonly TarEntry[]): Buffer {
  const blocks: Buffer[] = [];
  for (const entry of entries) {
    const content = entry.type === "file" ? entry.content : new Uint8Array();
    blocks.push(header(entry, content.length), Buffer.from(content));
    blocks.push(Buffer.alloc((blockSize - (content.length % blockSize)) % blockSize));
  }
  blocks.push(Buffer.alloc(2 * blockSize));
  return Buffer.concat(blocks);
}

function header(entry: TarEntry, size: number): Buffer {
  const path = entry.type === "directory" ? `${entry.path}/` : entry.path;
  const link = entry.type === "symlink" ? entry.target : "";
  for (const text of [path, link]) {
    if (Buffer.byteLength(text) > 100) throw new Error(`tar entry: expected a path within 100 bytes, got ${text}`);
  }
  const block = Buffer.alloc(blockSize);
  const octal = (value: number, offset: number, width: number) =>
    block.write(`${value.toString(8).padStart(width - 1, "0")}\0`, offset);
  const defaultMode = { file: 0o644, directory: 0o755, symlink: 0o777 }[entry.type];
  block.write(path, 0);
  octal(entry.type === "symlink" ? defaultMode : (entry.mode ?? defaultMode), 100, 8);
  octal(0, 108, 8); // uid
  octal(0, 116, 8); // gid
  octal(size, 124, 12);
  octal(0, 136, 12); // mtime
  block.write(typeFlags[entry.type], 156);
  block.write(link, 157);
  block.write("ustar\x0000", 257, "latin1");
  // The checksum counts its own field as spaces.
  block.fill(" ", 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}
