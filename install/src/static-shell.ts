import { existsSync, readFileSync, realpathSync } from "node:fs";
import { basename, join } from "node:path";
import { findProgram } from "../parts/system-packages.mjs";
import { cacheDirectory } from "../parts.mjs";

/** A shell that needs nothing but a kernel. */
export interface StaticShell {
  readonly name: string;
  readonly content: Buffer;
  /** Its arguments for a command and its arguments; for none it is interactive. */
  args(command: readonly string[]): string[];
}

/**
 * The given program, else busybox: the machine's own, or the one that the demo and the tests have.
 * @throws where there is none that is static
 */
export function findStaticShell(path?: string): StaticShell {
  if (path !== undefined) return shellIn(path);
  const candidates = [
    findProgram("busybox"),
    join(cacheDirectory(), "parts", "trixie", "lab", "usr", "bin", "busybox"),
  ];
  const found = candidates.find((candidate) => candidate !== undefined && existsSync(candidate) && isStatic(candidate));
  if (found === undefined) {
    throw new Error(
      "there is no static busybox in $PATH: install the package busybox-static, or name a static shell by --shell",
    );
  }
  return shellIn(found);
}

function shellIn(path: string): StaticShell {
  if (!isStatic(path)) throw new Error(`--shell ${path}: expected a static program, it needs a dynamic loader`);
  const busybox = basename(realpathSync(path)).startsWith("busybox");
  return {
    // Busybox is what it is called.
    name: busybox ? "busybox" : "sh",
    content: readFileSync(path),
    args: (command) => [
      ...(busybox ? ["sh"] : []),
      ...(command.length > 0 ? ["-c", 'exec "$@"', "sh", ...command] : []),
    ],
  };
}

const ELF_MAGIC = 0x7f454c46;
const PT_INTERP = 3;

/** Whether it is an ELF program (of 64 bits) that names no loader. elf(5) */
function isStatic(path: string): boolean {
  const bytes = readFileSync(path);
  if (bytes.length < 64 || bytes.readUInt32BE(0) !== ELF_MAGIC) throw new Error(`${path} is no ELF program`);
  const [start, size, count] = [Number(bytes.readBigUInt64LE(32)), bytes.readUInt16LE(54), bytes.readUInt16LE(56)];
  for (let at = start, i = 0; i < count && at + 4 <= bytes.length; i++, at += size) {
    if (bytes.readUInt32LE(at) === PT_INTERP) return false;
  }
  return true;
}
