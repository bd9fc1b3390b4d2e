/** A file of an archive. */
export interface CpioEntry {
  /** Without a leading slash. */
  readonly path: string;
  /** Type and permissions, as in struct stat: 0o100755, 0o040755, 0o120777 for a link, 0o020600 for a device. */
  readonly mode: number;
  /** A link's is its target. */
  readonly content?: Uint8Array;
  readonly device?: readonly [major: number, minor: number];
}

const FOLDER = 0o040755;

/**
 * A cpio archive of the kind the kernel unpacks an initial ramdisk from ("newc", cpio(5)): the same entries always give
 * the same bytes. The folders that files lie in come by themselves.
 */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const all = new Map<string, CpioEntry>();
  for (const entry of entries) {
    for (let slash = entry.path.indexOf("/"); slash > 0; slash = entry.path.indexOf("/", slash + 1)) {
      const path = entry.path.slice(0, slash);
      if (!all.has(path)) all.set(path, { path, mode: FOLDER });
    }
    all.set(entry.path, entry);
  }
  // Sorted, a folder is before what is in it.
  const sorted = [...all.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  const parts = sorted.flatMap((entry, index) => member(entry, index + 1));
  return Buffer.concat([...parts, ...member({ path: "TRAILER!!!", mode: 0 }, 0)]);
}

function member({ path, mode, content = new Uint8Array(0), device = [0, 0] }: CpioEntry, inode: number): Uint8Array[] {
  const links = mode === 0 || (mode & 0o170000) === 0o040000 ? 2 : 1;
  const [major, minor] = device;
  const name = Buffer.from(`${path}\0`);
  const numbers = [inode, mode, 0, 0, links, 0, content.length, 0, 0, major, minor, name.length, 0];
  const header = `070701${numbers.map((number) => number.toString(16).padStart(8, "0")).join("")}`;
  return [Buffer.from(header), name, padding(header.length + name.length), content, padding(content.length)];
}

const padding = (length: number) => new Uint8Array((4 - (length % 4)) % 4);
