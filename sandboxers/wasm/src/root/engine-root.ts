import { readdirSync, statSync } from "node:fs";
import { posix } from "node:path";
import type { RootMount } from "@kuasar/framework/monitor/monitor";
import type { OciMount, OciSpec } from "@kuasar/framework/oci/spec";
import type { EngineProgram } from "../engine/engine-program.ts";
import type { PreopenedFolder } from "../engine/wasm-engine.ts";
import type { DeviceFile } from "./device-files.ts";

/**
 * What an engine's process finds in its root: its own libraries, the module, and the container's files in a folder of
 * their own, which is all that the module is shown.
 */
const LIBRARIES = "/engine/lib";
const MODULES = "/module";
const ROOTFS = "/rootfs";

/** An engine that is taken over by a module finds neither devices nor set-user-id programs, in whatever image. */
const HARMLESS = ["nosuid", "nodev"];
/** How names are looked up; the engine does that for the module. */
const RESOLVER_FILES = ["/etc/hosts", "/etc/resolv.conf"];
const DEVICES = ["/dev/null", "/dev/urandom"];
/** Where those that a spec names are put, and not into the image's own folder. */
const DEVICE_FOLDER: RootMount = {
  type: "tmpfs",
  source: "tmpfs",
  target: "/dev",
  options: ["mode=755", "size=64k", "noexec", ...HARMLESS],
  within: ROOTFS,
};

/** The loader and the libraries of a program; the program itself is handed over as an open file. */
export function engineMounts({ loader, libraries, libraryFolder }: EngineProgram): RootMount[] {
  const file = (source: string, target: string, options: string[]): RootMount => ({
    type: "bind",
    source,
    target,
    options,
  });
  return [
    ...(loader ? [file(loader.file, loader.path, ["ro", "exec", ...HARMLESS])] : []),
    ...(libraryFolder === undefined
      ? libraries.map((library) => file(library.file, `${LIBRARIES}/${library.name}`, ["ro", "exec", ...HARMLESS]))
      : [file(libraryFolder, LIBRARIES, ["ro", "exec", ...HARMLESS])]),
    ...DEVICES.map((device) => file(device, device, ["nosuid", "noexec"])),
  ];
}

/** The engine's own variables; what the module gets is on its command line. */
export function engineEnvironment(): string[] {
  return [`LD_LIBRARY_PATH=${LIBRARIES}`, "RUST_BACKTRACE=0", "HOME=/", "PATH=/"];
}

/** Where the module will be, by the name that it has in the container. */
export function modulePath(name: string): string {
  return `${MODULES}/${posix.basename(name)}`;
}

export function moduleMount(source: string, name: string): RootMount {
  return { type: "bind", source, target: modulePath(name), options: ["ro", "exec", ...HARMLESS] };
}

/** The container's root file system, its mounts, and the devices that its spec asks for. */
export function containerMounts(
  spec: OciSpec,
  rootfs: string,
  devices: readonly DeviceFile[],
  resolvesNames: boolean,
): RootMount[] {
  const mounts = dataMounts(spec);
  const root: RootMount = { type: "bind", source: rootfs, target: ROOTFS, options: HARMLESS };
  const resolver = mounts.filter(({ destination }) => resolvesNames && RESOLVER_FILES.includes(destination));
  return [
    root,
    ...(devices.length > 0 ? [DEVICE_FOLDER] : []),
    ...mounts.map((mount) => rootMount(mount, ROOTFS)),
    ...devices.map(({ path, source }) => ({
      type: "bind",
      source,
      target: path,
      options: ["nosuid", "noexec"],
      within: ROOTFS,
    })),
    ...resolver.map((mount) => ({ ...rootMount(mount, ""), options: ["ro", "noexec", ...HARMLESS] })),
    // At last, since the mounts' folders had to be made.
    ...(spec.root?.readonly ? [{ ...root, options: ["remount", "ro", ...HARMLESS] }] : []),
  ];
}

/**
 * What the module is shown: the root, every mount that is a folder, and the working directory. WASI has none, and to
 * the C library that modules are built with (wasi-libc) `/` and `.` are the same name, of which the later counts. So
 * with a working directory the root's own folders are shown by their names, which are longer and so come first.
 */
export function preopenedFolders(spec: OciSpec, cwd: string, rootfs: string): PreopenedFolder[] {
  const rootReadOnly = spec.root?.readonly ?? false;
  const mounts = dataMounts(spec)
    .filter((mount) => mount.type === "tmpfs" || isFolder(mount.source ?? ""))
    .map((mount) => ({ name: posix.resolve("/", mount.destination), readOnly: isReadOnly(mount) }));
  const ofRoot = cwd === "/" ? [] : foldersIn(rootfs).map((name) => ({ name: `/${name}`, readOnly: rootReadOnly }));
  const unmounted = ofRoot.filter(({ name }) => !mounts.some((mount) => mount.name === name));
  const above = mounts
    .filter(({ name }) => `${cwd}/`.startsWith(`${name}/`))
    .sort((a, b) => b.name.length - a.name.length);
  const folders = [{ name: "/", readOnly: rootReadOnly }, ...unmounted, ...mounts].map(({ name, readOnly }) => ({
    path: posix.join(ROOTFS, name),
    name,
    readOnly,
  }));
  if (cwd !== "/") {
    folders.push({ path: posix.join(ROOTFS, cwd), name: ".", readOnly: above[0]?.readOnly ?? rootReadOnly });
  }
  // Command lines of engines have a colon between the names of a folder.
  return folders.filter(({ path }) => !path.includes(":"));
}

/** Links are left out: an engine would follow them in its own root. */
function foldersIn(path: string): string[] {
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
}

/** Volumes and files, but not what a Linux program would have: proc, sysfs, cgroups, devices. */
function dataMounts(spec: OciSpec): OciMount[] {
  return (spec.mounts ?? []).filter(
    (mount) => isBind(mount) || (mount.type === "tmpfs" && posix.resolve("/", mount.destination) !== "/dev"),
  );
}

export function isBind({ type, options }: OciMount): boolean {
  return type === "bind" || (options ?? []).some((option) => option === "bind" || option === "rbind");
}

function isReadOnly({ options }: OciMount): boolean {
  return (options ?? []).some((option) => option === "ro" || option === "rro");
}

function rootMount(mount: OciMount, within: string): RootMount {
  const target = posix.resolve("/", mount.destination);
  const access = isReadOnly(mount) ? ["ro"] : [];
  if (isBind(mount)) {
    return { type: "bind", source: mount.source ?? "", target, options: [...access, ...HARMLESS], within };
  }
  const options = (mount.options ?? []).filter((option) => /^(size|mode|nr_inodes|uid|gid)=|^noexec$/.test(option));
  return { type: "tmpfs", source: "tmpfs", target, options: [...access, ...HARMLESS, ...options], within };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
