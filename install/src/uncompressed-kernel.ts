import { execFileSync } from "node:child_process";
import { gunzipSync } from "node:zlib";
import { findProgram } from "../parts/system-packages.mjs";

// Offsets of the x86 boot protocol (Documentation/arch/x86/boot.rst of Linux).
const SETUP_SECTORS = 0x1f1;
const MAGIC = 0x202;
const VERSION = 0x206;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const SECTOR_BYTES = 512;
/** Of the protocol that has a payload's offset and length. */
const OLDEST_VERSION = 0x0208;
/** Its size when unpacked, behind the payload of every compression but gzip, which has that itself. */
const TRAILER_BYTES = 4;

const GZIP = "1f8b";
const ELF = "7f454c46";
/** By a payload's first bytes, the program that unpacks it. */
const PROGRAMS: Readonly<Record<string, string>> = { "02214c18": "lz4", "28b52ffd": "zstd", fd377a58: "xz" };
const MOST_BYTES = 512 << 20;

/**
 * The ELF file in an x86 kernel's bzImage, which a hypervisor can start at once: unpacking itself is a fifth of an emulated
 * machine's boot. Answers with why it cannot be had, in words, where it cannot.
 */
export function uncompressedKernel(image: Buffer): Buffer | { readonly why: string } {
  if (hex(image) === ELF) return image;
  if (image.toString("latin1", MAGIC, MAGIC + 4) !== "HdrS" || image.readUInt16LE(VERSION) < OLDEST_VERSION) {
    return { why: "it is no bzImage" };
  }
  const start = (image.readUInt8(SETUP_SECTORS) + 1) * SECTOR_BYTES + image.readUInt32LE(PAYLOAD_OFFSET);
  const payload = image.subarray(start, start + image.readUInt32LE(PAYLOAD_LENGTH));
  const kernel = unpacked(payload);
  if (Buffer.isBuffer(kernel) && hex(kernel) !== ELF) return { why: "what is in it is no ELF file" };
  return kernel;
}

function unpacked(payload: Buffer): Buffer | { readonly why: string } {
  if (hex(payload).startsWith(GZIP)) return gunzipSync(payload);
  const name = PROGRAMS[hex(payload)];
  if (name === undefined) return { why: `its payload begins with ${hex(payload)}, which is no compression known here` };
  const program = findProgram(name);
  if (program === undefined) return { why: `${name} is not installed` };
  return execFileSync(program, ["-d", "-c"], {
    input: payload.subarray(0, payload.length - TRAILER_BYTES),
    maxBuffer: MOST_BYTES,
  });
}

const hex = (bytes: Buffer): string => bytes.toString("hex", 0, 4);
