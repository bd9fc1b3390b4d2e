#!/usr/bin/env node
import { existsSync, realpathSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { debianMirrors } from "./parts/apt-sources.mjs";
import { cloudKernel } from "./parts/cloud-kernel.mjs";
import { emulator } from "./parts/emulator.mjs";
import { runCommand } from "./parts/run-command.mjs";
import { findProgram, installSystemParts, pathPart, programPart } from "./parts/system-packages.mjs";
import { keyring, loaderIn, trixiePrefix } from "./parts/trixie-prefix.mjs";
import { wasmedgeProgram, wasmtimeProgram } from "./parts/wasm-engines.mjs";

const toStandardError = (line) => void process.stderr.write(`${line}\n`);

/**
 * The checkout this code runs from, which is also the case for the bundle in dist/bin; undefined once installed.
 * @returns {string | undefined}
 */
export function sourceDirectory() {
  const self = realpathSync(fileURLToPath(import.meta.url));
  for (let folder = dirname(self); folder !== dirname(folder); folder = dirname(folder)) {
    if (existsSync(join(folder, "install", "parts.mjs"))) return folder;
  }
  return undefined;
}

/** Where everything fetched or made is kept: KUASAR_CACHE, else `.cache` in the checkout, else the user's cache. */
export function cacheDirectory() {
  if (process.env.KUASAR_CACHE) return resolve(process.env.KUASAR_CACHE);
  const sources = sourceDirectory();
  return sources ? join(sources, ".cache") : userCacheDirectory();
}

/** For what takes so long to make that a second checkout should not do it again: KUASAR_CACHE, else the user's cache. */
export function userCacheDirectory() {
  if (process.env.KUASAR_CACHE) return resolve(process.env.KUASAR_CACHE);
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "kuasar");
}

function buildPaths(prefix) {
  const { folder, command } = loaderIn(prefix);
  return {
    prefix,
    // Debian 12's libc is too old for qjsc, so the libc it was built for comes along, loader and all.
    qjsc: [...command, join(prefix, "usr", "bin", "qjsc")],
    includeDir: join(prefix, "usr", "include", "quickjs"),
    libquickjs: join(folder, "quickjs", "libquickjs.a"),
    gcc: findProgram("gcc") ?? "gcc",
  };
}

/** What `npm run build` needs. Root is needed only where there is no C compiler. */
export async function buildParts({ report = toStandardError } = {}) {
  await installSystemParts([programPart("gcc", "gcc"), { package: "libc6-dev", present: hasStaticLibc }], report);
  const verify = async (prefix) => {
    const script = join(prefix, "..", "verify.js");
    writeFileSync(script, "print(1);\n");
    const paths = buildPaths(prefix);
    await runCommand([...paths.qjsc, "-e", "-o", `${script}.c`, script], { quiet: true });
    for (const path of [paths.libquickjs, join(paths.includeDir, "quickjs.h")]) {
      if (!existsSync(path)) throw new Error(`the package libquickjs did not bring ${path}`);
    }
  };
  const packages = ["quickjs", "libquickjs", "libc6"];
  return buildPaths(await trixiePrefix(join(cacheDirectory(), "parts"), "build", packages, verify, report));
}

async function hasStaticLibc() {
  const gcc = findProgram("gcc");
  if (!gcc) return false;
  // gcc answers with the bare name when it does not find the file.
  return (await runCommand([gcc, "-print-file-name=libc.a"])).trim().startsWith("/");
}

const cniDir = "/usr/lib/cni";

function labPaths(prefix) {
  const inPrefix = (name) => join(prefix, "usr", "bin", name);
  const onSystem = (name) => {
    const path = findProgram(name);
    if (!path) throw new Error(`program ${name} is not installed`);
    return path;
  };
  return {
    prefix,
    containerd: inPrefix("containerd"),
    ctr: inPrefix("ctr"),
    /** The folder that holds containerd-shim-runc-v2. */
    shimDir: inPrefix(""),
    busybox: inPrefix("busybox"),
    runc: onSystem("runc"),
    crun: onSystem("crun"),
    catatonit: onSystem("catatonit"),
    cniDir,
  };
}

/** What the private containerd, the demo, the tests and the bench need. Installing needs root, a cached answer does not. */
export async function labParts({ report = toStandardError } = {}) {
  await installSystemParts(
    [
      programPart("runc", "runc"),
      programPart("crun", "crun"),
      programPart("catatonit", "catatonit"),
      pathPart("containernetworking-plugins", join(cniDir, "bridge")),
      // The bridge plugin's masquerading.
      programPart("iptables", "iptables"),
      programPart("iproute2", "ip"),
    ],
    report,
  );
  const verify = async (prefix) => {
    const version = await runCommand([labPaths(prefix).containerd, "--version"]);
    if (!/ v?1\.7\./.test(version)) throw new Error(`expected containerd 1.7, got: ${version.trim()}`);
    await runCommand([labPaths(prefix).busybox, "true"]);
  };
  // busybox-static comes here and not by the system's apt, where it would push out a dynamic busybox.
  const packages = ["containerd", "busybox-static"];
  return labPaths(await trixiePrefix(join(cacheDirectory(), "parts"), "lab", packages, verify, report));
}

/** What the lab's virtual machine takes, and the Debian inside it. Installing needs root. */
export async function vmParts({ report = toStandardError } = {}) {
  const parts = { mmdebstrap: ["mmdebstrap"], mkfs: ["e2fsprogs", "mkfs.ext4"] };
  const named = Object.entries(parts).map(([key, [name, program = name]]) => ({ key, name, program }));
  await installSystemParts(
    named.map(({ name, program }) => programPart(name, program)),
    report,
  );
  const paths = Object.fromEntries(named.map(({ key, program }) => [key, findProgram(program)]));
  const qemu = await emulator(join(cacheDirectory(), "parts"), report);
  return { ...paths, qemu, keyring, mirrors: debianMirrors() };
}

/** The Wasm engines. Making Wasmtime takes minutes, once; a cached answer takes none. */
export async function wasmParts({ report = toStandardError } = {}) {
  return {
    wasmedge: await wasmedgeProgram(join(cacheDirectory(), "parts"), report),
    wasmtime: await wasmtimeProgram(join(userCacheDirectory(), "parts"), report),
  };
}

/**
 * What virtual machines need: the hypervisor, the file server of their shares, and a kernel. The machine's own packages
 * may be of any age.
 */
export async function vmmParts({ report = toStandardError } = {}) {
  const fileServers = ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd"];
  await installSystemParts(
    [
      programPart("qemu-system-x86", "qemu-system-x86_64"),
      // Unpacks Debian's kernel.
      programPart("lz4", "lz4"),
      // Root file systems as images.
      programPart("erofs-utils", "mkfs.erofs"),
      programPart("e2fsprogs", "mke2fs"),
    ],
    report,
  );
  // Debian 12's QEMU brings it, later ones have it as a package.
  const present = () => fileServers.some((path) => existsSync(path));
  await installSystemParts([{ package: "virtiofsd", present }], report);
  return { kernel: await cloudKernel(join(cacheDirectory(), "parts"), report) };
}

async function main([set, ...flags]) {
  const sets = { build: buildParts, lab: labParts, vm: vmParts, vmm: vmmParts, wasm: wasmParts };
  if (!Object.hasOwn(sets, set ?? "") || flags.some((flag) => flag !== "--print")) {
    throw new Error("usage: parts.mjs build|lab|vm|vmm|wasm [--print]");
  }
  const paths = await sets[set]();
  if (flags.includes("--print")) process.stdout.write(`${JSON.stringify(paths, null, 2)}\n`);
}

const script = process.argv[1] ? realpathSync(process.argv[1]) : "";
// The second half keeps this from running inside a bundle, where every module has the bundle's address.
if (script === realpathSync(fileURLToPath(import.meta.url)) && basename(script) === "parts.mjs") {
  main(process.argv.slice(2)).catch((error) => {
    process.stderr.write(`parts: ${error.message}\n`);
    process.exitCode = 1;
  });
}
