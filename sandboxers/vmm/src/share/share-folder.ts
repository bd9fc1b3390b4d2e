import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Monitor, Mount } from "@kuasar/framework/monitor/monitor";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";

/**
 * What of the host's files a pod's machine sees: a folder a container, in it a mount point for its root and for each of
 * its volumes. There are two ways to it. In the folder itself the sandboxer makes and removes mount points, and never
 * comes upon anything else: nothing is mounted there. In the view, a read-only mount of the folder, lies what is mounted,
 * and that is what the machine has: whatever it does, it cannot put something in a mount point's place, or beside it.
 */
export interface Share {
  readonly folder: string;
  readonly view: string;
}

export function shareOf({ directory }: Sandbox): Share {
  return { folder: join(directory, "share"), view: join(directory, "view") };
}

/** No container's id. vmm-task (modprobe.ts) knows it. */
const MODULES = ".modules";

/**
 * Before the machine's file server starts.
 * @param modules the folder of those that the machine's kernel may ask for
 */
export async function openShare(sandbox: Sandbox, modules: string): Promise<Share> {
  const share = shareOf(sandbox);
  for (const path of [share.folder, share.view]) mkdirSync(path, { recursive: true, mode: 0o711 });
  // Unbindable: a volume that is the host's root, or holds this folder, else has copies of all pods' mounts in it, and
  // what something is mounted on cannot be removed.
  const view: Mount = { type: "bind", source: share.folder, target: "", options: ["bind", "ro", "unbindable"] };
  const hasModules = existsSync(modules);
  if (hasModules) mkdirSync(join(share.folder, MODULES), { recursive: true, mode: 0o711 });
  await sandbox.monitor.mount([view], share.view);
  if (hasModules) {
    const mount: Mount = { type: "bind", source: modules, target: "", options: ["bind", "ro", "private"] };
    await sandbox.monitor.mount([mount], join(share.view, MODULES));
  }
  return share;
}

/** With what is still mounted in it. Harmless if there is none. */
export async function closeShare(sandbox: Sandbox): Promise<void> {
  const { folder, view } = shareOf(sandbox);
  await sandbox.monitor.unmount(view);
  // Were something mounted in it still, this would fail, and nobody's files be removed.
  if (existsSync(view)) rmdirSync(view);
  rmSync(folder, { recursive: true, force: true });
}

/**
 * Mounts on a name of a container's folder, which is made.
 * @param isFolder what the mount point is: a folder or a file
 */
export async function mountInShare(
  { folder, view }: Share,
  monitor: Monitor,
  id: string,
  name: string,
  mounts: readonly Mount[],
  isFolder: boolean,
): Promise<void> {
  const point = join(folder, id, name);
  mkdirSync(isFolder ? point : join(folder, id), { recursive: true, mode: 0o711 });
  if (!isFolder) writeFileSync(point, "", { mode: 0o600 });
  await monitor.mount(mounts, join(view, id, name));
}

/** What is mounted for a container. */
export function namesInShare({ folder }: Share, id: string): string[] {
  const points = join(folder, id);
  return existsSync(points) ? readdirSync(points) : [];
}

/** All that is mounted for a container goes. Harmless if there is nothing. */
export async function leaveShare(share: Share, monitor: Monitor, id: string): Promise<void> {
  for (const name of namesInShare(share, id)) await monitor.unmount(join(share.view, id, name));
  rmSync(join(share.folder, id), { recursive: true, force: true });
}
