import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { cgroupPaths } from "@kuasar/install/cgroup-tree";
import { mountTable } from "@kuasar/install/mount-table";
import { hasEnded, processTable } from "@kuasar/install/process-table";
import { shimSocketDirectory } from "@kuasar/install/remains";
import type { Lab } from "./lab.ts";

/** Of the wasm sandboxer: they are kept for the next pod. */
export const compiledModules = ".modules";
/** Of the vmm sandboxer, as well. */
export const storage = ".storage";

/**
 * Everything on this machine that belongs to a lab, a line for each thing, sorted: what pods must not leave behind.
 * Two footprints are equal when nothing came or went between them.
 */
export async function footprint(lab: Lab): Promise<string[]> {
  const { layout, cgroupParent, bridge } = lab.containerd;
  const { namespaces, lines: snapshots } = await activeSnapshots(lab);
  const folders = [
    ...["root", "state"].flatMap((kind) => {
      const base = join(layout.directory, kind);
      const cri = join(base, "io.containerd.grpc.v1.cri");
      const tasks = namespaces.map((name) => join(base, "io.containerd.runtime.v2.task", name));
      return [...tasks, join(cri, "sandboxes"), join(cri, "containers"), join(base, "netns")];
    }),
    ...(lab.sandboxDirectory ? [lab.sandboxDirectory] : []),
  ];
  const addresses = entries(join(layout.cniDataDir, bridge)).filter((name) => /^\d+\./.test(name));
  return [
    ...processTable()
      .filter(({ pid, argv, state }) => state !== "Z" && belongs(pid, argv, lab))
      .map(({ argv }) => `process ${argv.join(" ")}`),
    ...mountTable()
      .filter(({ target }) => target.startsWith(lab.directory))
      .map(({ target, fsType }) => `mount ${fsType} ${target}`),
    ...cgroupPaths()
      .filter((path) => path.includes(`${cgroupParent}/`))
      .map((path) => `cgroup ${path}`),
    ...linksOf(bridge).map((name) => `link ${name}`),
    ...addresses.map((address) => `CNI address ${address}`),
    ...deadShimSockets().map((path) => `socket without a listener ${path}`),
    ...folders.flatMap((folder) =>
      entries(folder)
        .filter((name) => name !== compiledModules && name !== storage)
        .map((name) => `file ${join(folder, name)}`),
    ),
    ...namespaces.flatMap((name) => runcStates(name, lab)),
    ...snapshots.map((name) => `snapshot ${name}`),
  ].sort();
}

/** By its arguments, its cgroup, or its root file system: a lost process may have kept only one of them. */
function belongs(pid: number, argv: readonly string[], lab: Lab): boolean {
  if (pid === process.pid || pid === process.ppid) return false;
  if (argv.some((word) => word.includes(lab.directory))) return true;
  try {
    if (readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(lab.containerd.cgroupParent)) return true;
    const ownMounts = readlinkSync(`/proc/${pid}/ns/mnt`) !== readlinkSync("/proc/self/ns/mnt");
    const rootMount = / \/ \/ .*/.exec(ownMounts ? readFileSync(`/proc/${pid}/mountinfo`, "utf8") : "")?.[0];
    return rootMount?.includes(lab.directory) ?? false;
  } catch (error) {
    // The kernel hides processes that may do more than we from us; nothing a lab starts may.
    if (hasEnded(error) || (error as NodeJS.ErrnoException).code === "EACCES") return false;
    throw error;
  }
}

async function activeSnapshots({ containerd }: Lab): Promise<{ namespaces: string[]; lines: string[] }> {
  const lines = [];
  const { stdout } = await containerd.ctr(["namespace", "ls", "-q"]);
  const namespaces = stdout.split("\n").filter(Boolean);
  for (const namespace of namespaces) {
    const args = ["--namespace", namespace, "snapshot", "--snapshotter", containerd.snapshotter, "ls"];
    const rows = (await containerd.ctr(args)).stdout.split("\n").slice(1);
    lines.push(...rows.filter((row) => row.trimEnd().endsWith("Active")).map((row) => row.split(" ")[0] ?? ""));
  }
  return { namespaces, lines };
}

/** containerd's own shim keeps runc's state at one place for every containerd; which is ours, its content tells. */
function runcStates(namespace: string, lab: Lab): string[] {
  const folder = join("/run/containerd/runc", namespace);
  return entries(folder)
    .map((name) => join(folder, name))
    .filter((path) => ["state.json", "status"].some((name) => mentions(join(path, name), lab.directory)))
    .map((path) => `state of runc or crun ${path}`);
}

function mentions(file: string, text: string): boolean {
  try {
    return readFileSync(file, "utf8").includes(text);
  } catch (error) {
    if (hasEnded(error)) return false;
    throw error;
  }
}

function linksOf(bridge: string): string[] {
  return entries(join("/sys/class/net", bridge, "brif"));
}

/** A shim removes its socket when it goes. One that nobody listens on has been forgotten. */
function deadShimSockets(): string[] {
  const bound = readFileSync("/proc/net/unix", "utf8");
  return entries(shimSocketDirectory)
    .map((name) => join(shimSocketDirectory, name))
    .filter((path) => !bound.includes(path));
}

function entries(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}
