import { join } from "node:path";
import { runCommand } from "./run-command.mjs";
import { loaderIn, trixiePrefix } from "./trixie-prefix.mjs";

/** QEMU with everything it is linked to, down to the dynamic loader, and a PC's firmware. */
const packages = [
  "qemu-system-x86",
  "qemu-system-data",
  "seabios",
  "libaio1t64",
  "libatomic1",
  "libblkid1",
  "libbpf1",
  "libc6",
  "libcap2",
  "libcapstone5",
  "libdaxctl1",
  "libelf1t64",
  "libfdt1",
  "libffi8",
  "libfuse3-4",
  "libglib2.0-0t64",
  "libgmp10",
  "libgnutls30t64",
  "libhogweed6t64",
  "libibverbs1",
  "libidn2-0",
  "libjpeg62-turbo",
  "libkmod2",
  "libmount1",
  "libndctl6",
  "libnettle8t64",
  "libnl-3-200",
  "libnl-route-3-200",
  "libnuma1",
  "libp11-kit0",
  "libpcre2-8-0",
  "libpixman-1-0",
  "libpmem1",
  "libpng16-16t64",
  "librdmacm1t64",
  "libsasl2-2",
  "libseccomp2",
  "libselinux1",
  "libslirp0",
  "libssl3t64",
  "libtasn1-6",
  "libudev1",
  "libunistring5",
  "liburing2",
  "libuuid1",
  "libvdeplug2t64",
  "libzstd1",
  "zlib1g",
];

/**
 * The QEMU that emulates the lab's machine: Debian 13's, also on Debian 12.
 *
 * @param {string} root the folder of fetched and made parts
 * @param {(line: string) => void} report
 * @returns {Promise<string[]>} the program and its first arguments
 */
export async function emulator(root, report) {
  const command = (prefix) => {
    const share = (name) => ["-L", join(prefix, "usr", "share", name)];
    const program = join(prefix, "usr", "bin", "qemu-system-x86_64");
    return [...loaderIn(prefix).command, program, ...share("qemu"), ...share("seabios")];
  };
  const verify = async (prefix) => {
    const version = await runCommand([...command(prefix), "--version"]);
    if (!version.includes("version 10.")) throw new Error(`expected QEMU 10, got: ${version.trim()}`);
  };
  return command(await trixiePrefix(root, "qemu", packages, verify, report));
}
