import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { execa } from "execa";
import { cgroupMembers, cgroupPaths, removeCgroup } from "./cgroup-tree.ts";
import { unmountBelow } from "./mount-table.ts";
import type { PrivateContainerd } from "./private-containerd.ts";
import { hasEnded, processTable } from "./process-table.ts";
import { waitUntil } from "./wait-until.ts";

/** Fixed by containerd's shim library, whatever the configuration says (runtime/v2/shim/util_unix.go). */
export const shimSocketDirectory = "/run/containerd/s";

/** Folders that containerd, ctr and libcni make at fixed places; deepest first. */
const sharedDirectories = [
  shimSocketDirectory,
  "/run/containerd/runc/k8s.io",
  "/run/containerd/runc",
  "/run/containerd/fifo",
  "/run/containerd",
  "/var/lib/cni/results",
  "/var/lib/cni",
];

/** What lay at places that all containerds of a machine share, before ours began. */
export interface SharedPlaces {
  readonly absentDirectories: readonly string[];
  readonly shimSockets: readonly string[];
}

export function sharedPlaces(): SharedPlaces {
  return {
    absentDirectories: sharedDirectories.filter((path) => !existsSync(path)),
    shimSockets: listIfThere(shimSocketDirectory),
  };
}

/**
 * Removes a private containerd and all it made.
 *
 * @returns a line for each thing that its pods' removal should have taken away and did not
 */
export async function removeRemains(containerd: PrivateContainerd, before: SharedPlaces): Promise<string[]> {
  const { layout } = containerd;
  const remains: string[] = [];
  const attempt = async (what: string, work: () => Promise<unknown>) => {
    try {
      await work();
    } catch (error) {
      remains.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  if (containerd.pid === undefined) await attempt("starting containerd again", () => containerd.start());
  if (containerd.pid !== undefined) {
    await attempt("removing pods", () => removePods(containerd));
    await attempt("removing tasks", () => removeTasks(containerd));
  }
  await attempt("ending containerd", () => containerd.kill("SIGTERM"));
  if (containerd.pid !== undefined) await containerd.kill("SIGKILL");
  containerd.cri.close();

  await attempt("ending processes", async () => remains.push(...(await endProcessesOf(containerd))));
  await attempt("unmounting", async () => {
    remains.push(...(await unmountBelow(layout.directory)).map((target) => `mount ${target}`));
  });
  await attempt("removing control groups", async () => {
    const groups = cgroupPaths().filter((path) => path.includes(`${containerd.cgroupParent}/`));
    remains.push(...groups.map((path) => `cgroup ${path}`));
    const unit = basename(containerd.cgroupParent);
    // systemd keeps a slice until it is told to stop it.
    if (unit.endsWith(".slice")) await execa("systemctl", ["stop", unit]);
    removeCgroup(containerd.cgroupParent);
  });
  await attempt("removing the bridge", () => removeLink(containerd.bridge));
  remains.push(...removeDeadSockets(before.shimSockets));
  rmSync(layout.directory, { recursive: true, force: true });
  // runc's shim makes it and leaves it.
  rmSync(join("/run/containerd/runc", containerd.ctrNamespace), { recursive: true, force: true });
  for (const path of before.absentDirectories) {
    if (existsSync(path) && readdirSync(path).length === 0) rmdirSync(path);
  }
  return remains;
}

async function removePods({ cri }: PrivateContainerd): Promise<void> {
  const { items } = await cri.runtime.listPodSandbox({});
  for (const id of items.map((item) => item.id)) {
    await cri.runtime.stopPodSandbox({ podSandboxId: id });
    await cri.runtime.removePodSandbox({ podSandboxId: id });
  }
}

async function removeTasks(containerd: PrivateContainerd): Promise<void> {
  const list = async (kind: string) => (await containerd.ctr([kind, "ls", "-q"])).stdout.split("\n").filter(Boolean);
  for (const id of await list("task")) await containerd.ctr(["task", "rm", "--force", id]);
  for (const id of await list("container")) await containerd.ctr(["container", "rm", id]);
}

/** Shims carry the address of their containerd among their arguments; what they run is in the pods' control groups. */
async function endProcessesOf({ layout, cgroupParent }: PrivateContainerd): Promise<string[]> {
  const ours = () => {
    const members = new Set(cgroupMembers(cgroupParent));
    return processTable().filter(
      ({ pid, argv, state }) => state !== "Z" && (members.has(pid) || argv.includes(layout.socket)),
    );
  };
  try {
    // A shim may outlive its last answer by a moment.
    await waitUntil(() => ours().length === 0, { what: "shims to end", timeoutMs: 2000 });
    return [];
  } catch {
    const left = ours();
    const kill = () => {
      for (const { pid } of ours()) endProcess(pid);
      return ours().length === 0;
    };
    await waitUntil(kill, { what: "killed processes to end", timeoutMs: 10_000 });
    return left.map(({ pid, argv }) => `process ${pid}: ${argv.join(" ")}`);
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!hasEnded(error)) throw error;
  }
}

/** A bridge stays after its last pod; the CNI plugin never removes it. */
async function removeLink(name: string): Promise<void> {
  if (existsSync(join("/sys/class/net", name))) await execa("ip", ["link", "delete", name]);
}

function removeDeadSockets(foreign: readonly string[]): string[] {
  const bound = readFileSync("/proc/net/unix", "utf8");
  const dead = listIfThere(shimSocketDirectory)
    .filter((name) => !foreign.includes(name))
    .map((name) => join(shimSocketDirectory, name))
    .filter((path) => !bound.includes(path));
  for (const path of dead) rmSync(path);
  return dead.map((path) => `socket ${path}`);
}

function listIfThere(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}
