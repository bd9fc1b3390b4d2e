import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, realpathSync, renameSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { findProgram } from "../parts/system-packages.mjs";
import { cacheDirectory, vmmParts } from "../parts.mjs";
import { writeAskedModules } from "./asked-modules.ts";
import { type CpioEntry, cpioArchive } from "./cpio-archive.ts";
import { type KernelModule, kernelModules } from "./kernel-modules.ts";
import { programDirectory, programPath } from "./programs.ts";
import { uncompressedKernel } from "./uncompressed-kernel.ts";

export interface GuestImageParts {
  /** lib/modules/RELEASE of the kernel that will boot it. */
  readonly modules: string;
  readonly vmmTask: string;
  /** runc or crun, with the shared libraries that it is linked with. */
  readonly ociRuntime: string;
}

export interface GuestImageOptions {
  readonly output: string;
  readonly kernel?: string;
  readonly modules?: string;
  readonly ociRuntime: string;
}

/** Writes vmlinux, initrd.img and the files of modules/, each whole or not at all; answers with what was written. */
export async function writeGuestImage({ output, ociRuntime, kernel, modules }: GuestImageOptions): Promise<string[]> {
  if ((kernel === undefined) !== (modules === undefined))
    throw new Error("--kernel and --modules: expected both or none");
  const from = kernel && modules ? { image: kernel, modules } : (await vmmParts()).kernel;
  const runtime = findProgram(ociRuntime);
  if (runtime === undefined) throw new Error(`--oci-runtime: ${ociRuntime} is not installed`);
  const image = guestImage({ modules: from.modules, vmmTask: programPath("vmm-task"), ociRuntime: runtime });
  mkdirSync(output, { recursive: true });
  const written: string[] = [];
  for (const { name, content, note } of [kernelFile(from.image), { name: "initrd.img", content: image, note: "" }]) {
    const path = join(output, name);
    const unfinished = `${path}.${process.pid}`;
    writeFileSync(unfinished, content);
    renameSync(unfinished, path);
    written.push(`${path}: ${content.length} bytes${note}`);
  }
  const asked = writeAskedModules(from.modules, join(output, "modules"));
  written.push(`${join(output, "modules")}: ${asked === undefined ? "as it was" : `${asked} bytes`}`);
  return written;
}

/** What the demo, tests and benches boot: its folder, of this checkout, and the kernel as Debian has it. */
export async function cachedGuestImage(
  options?: Parameters<typeof vmmParts>[0],
): Promise<{ folder: string; kernel: string }> {
  const { kernel } = await vmmParts(options);
  const folder = join(cacheDirectory(), "guest-image");
  await writeGuestImage({ output: folder, kernel: kernel.image, modules: kernel.modules, ociRuntime: "crun" });
  return { folder, kernel: kernel.image };
}

function kernelFile(path: string): { name: string; content: Buffer; note: string } {
  const image = readFileSync(path);
  const kernel = uncompressedKernel(image);
  return Buffer.isBuffer(kernel)
    ? { name: "vmlinux", content: kernel, note: "" }
    : { name: "vmlinux", content: image, note: `, as ${path} is, since ${kernel.why}: it takes longer to boot` };
}

// What a pod's machine has to do with from its start: the network, console, share and entropy of a virtual machine, and
// overlay, for its containers' root file systems and whatever they mount themselves.
const MODULES = ["virtio_pci", "virtio_mmio", "virtio_console", "virtio_net", "virtiofs", "virtio-rng", "overlay"];

// What vmm-task loads only where it is needed, since each takes an emulated guest a while: with the first drive (drives.ts),
// and for a channel by vsock (channel.ts). The lists have no module in common.
const LATE_MODULES = { drives: ["virtio_scsi", "sd_mod", "erofs"], vsock: ["vmw_vsock_virtio_transport"] };
// The kernel looks for drives where it is told.
const PARAMETERS: Readonly<Record<string, string>> = { scsi_mod: " scan=manual" };

/** Where vmm-task (boot.ts) finds its root in the initial ramdisk. */
const ROOT = "sysroot";

/**
 * The initial ramdisk of a pod's machine: vmm-task as its first process, the drivers, an OCI runtime with its
 * libraries, and nothing else. The same parts give the same bytes.
 */
export function guestImage(parts: GuestImageParts): Buffer {
  const entries: CpioEntry[] = [
    // The kernel opens it for the first process, before that has mounted anything.
    { path: "dev/console", mode: 0o020600, device: [5, 1] },
    program(`${ROOT}/sbin/vmm-task`, parts.vmmTask),
    program(`${ROOT}/bin/oci-runtime`, parts.ociRuntime),
    ...libraries(parts.ociRuntime).map(({ path, from }) => program(`${ROOT}${path}`, from)),
    ...["proc", "sys", "dev", "run", "tmp", "etc", "root"].map((path) => folder(`${ROOT}/${path}`)),
  ];
  const early = kernelModules(parts.modules, MODULES);
  const isLate = ({ name }: KernelModule) => !early.some((one) => one.name === name);
  const lists = Object.entries(LATE_MODULES).map(
    ([list, names]) => [list, kernelModules(parts.modules, names).filter(isLate)] as const,
  );
  for (const [list, modules] of [["order", early] as const, ...lists]) {
    for (const { name, content } of modules) entries.push(file(`lib/modules/${name}.ko`, content));
    entries.push(file(`lib/modules/${list}`, moduleList(modules)));
  }
  return cpioArchive(entries);
}

/** As vmm-task (kernel-modules.ts) reads it. */
function moduleList(modules: readonly KernelModule[]): Buffer {
  return Buffer.from(modules.map(({ name }) => `/lib/modules/${name}.ko${PARAMETERS[name] ?? ""}\n`).join(""));
}

const file = (path: string, content: Buffer): CpioEntry => ({ path: `${ROOT}/${path}`, mode: 0o100644, content });

const folder = (path: string): CpioEntry => ({ path, mode: 0o040755 });
const program = (path: string, from: string): CpioEntry => ({
  path,
  mode: 0o100755,
  content: readFileSync(realpathSync(from)),
});
/** Ours in place of those that want what a guest does not have: sandboxers/vmm/guest/libsystemd. */
const standIns = join(programDirectory(), "..", "lib", "guest");

interface Library {
  /** Where the dynamic loader of the guest finds it. */
  readonly path: string;
  readonly from: string;
}

/** The libraries that the dynamic loader takes; ldd asks it. None for a static program. */
function libraries(program: string): Library[] {
  const listed = execFileSync("ldd", [program], { encoding: "utf8", env: withStandIns(program) });
  return [...listed.matchAll(/(\/\S+) \(0x/g)].map(([, from = ""]) => ({
    path: from.startsWith(standIns) ? `/lib/${basename(from)}` : from,
    from,
  }));
}

/** The environment in which the program takes our stand-ins, if it can: a later one may want more of a library. */
function withStandIns(program: string): NodeJS.ProcessEnv {
  const env = { PATH: process.env.PATH, LD_LIBRARY_PATH: standIns };
  const { status } = spawnSync(program, ["--version"], { env: { ...env, LD_BIND_NOW: "1" }, stdio: "ignore" });
  return status === 0 ? env : { PATH: process.env.PATH };
}
