import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { errorText, unknown } from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import type { Mount } from "@kuasar/framework/monitor/monitor";
import type { OciSpec } from "@kuasar/framework/oci/spec";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import { NotMade, type SealedFile, type SealedFiles } from "@kuasar/framework/store/sealed-files";
import type { Task } from "@kuasar/framework/task/task";
import type { GuestDrive } from "../guest/guest.ts";
import type { Machines } from "../machine/machine.ts";
import { leaveShare, mountInShare, namesInShare, shareOf } from "../share/share-folder.ts";
import { bindMount, GUEST_SHARE, type GuestContainer, type GuestParts, ROOTFS } from "../task/guest-spec.ts";
import { blockDeviceNode, type DeviceNumber, isReadOnlyDevice } from "./block-device.ts";
import { writableBelow } from "./mounts-below.ts";
import { passedDevices } from "./passed-devices.ts";
import type { PodDrives } from "./pod-drives.ts";
import { endMakingImage, imageName, makeImage } from "./root-image.ts";
import { type RootPreference, type RootSource, rootSource } from "./root-source.ts";
import type { StorageFolders } from "./storage-folders.ts";
import { makeWritableLayer, UPPER, WORK } from "./writable-layer.ts";

/** A container's root, volumes and block devices, on their way into the pod's machine. */
export interface ContainerStorage {
  /** Its root and its block devices. Answers with what they are in the guest. */
  open(sandbox: Sandbox, task: Task, spec: OciSpec, rootfs: readonly Mount[], timeoutMs: number): Promise<GuestParts>;
  /** Its volumes. */
  bind(sandbox: Sandbox, task: Task, binds: GuestContainer["binds"]): Promise<void>;
  /** Has `open` fail soon. */
  interrupt(sandbox: Sandbox, task: Task): Promise<void>;
  /** All of it goes. Harmless if there is nothing. */
  close(sandbox: Sandbox, task: Task): Promise<void>;
}

export interface ContainerStorageParts {
  readonly machines: Machines;
  readonly drives: PodDrives;
  readonly folders: StorageFolders;
  readonly images: SealedFiles;
  readonly rootfs: RootPreference;
  readonly writableBytes: number;
  readonly log: Logger;
}

/** Documentation/admin-guide/sysctl/vm.rst: names and inodes that nobody uses. */
const FORGET_NAMES = Buffer.from("2");
/** Of mounts below a read-only volume, all that the guest is made to look for; a host's root may have thousands. */
const VISITED_MOST = 256;

type Bind = GuestContainer["binds"][number];

/** In the guest. An id is no path. */
const rootIn = (id: string) => `/run/kuasar/roots/${id}`;
const writableIn = (id: string) => `/run/kuasar/writable/${id}`;
/** No process's of the container: an exec id has no slash. */
const imageKey = (id: string) => `${id}/image/make`;

export function createContainerStorage(parts: ContainerStorageParts): ContainerStorage {
  const { machines, drives, folders, images, log } = parts;

  async function openRoot(
    sandbox: Sandbox,
    task: Task,
    spec: OciSpec,
    rootfs: readonly Mount[],
    timeoutMs: number,
  ): Promise<Pick<GuestParts, "rootfs">> {
    const source = rootSource(rootfs, parts.rootfs);
    switch (source.kind) {
      case "share":
        await mountInShare(shareOf(sandbox), sandbox.monitor, task.id, ROOTFS, rootMounts(task, spec, rootfs), true);
        return {};
      case "drive": {
        const { path, type, options, readOnly } = source;
        const target = rootIn(task.id);
        await drives.attach(sandbox, task, { path, readOnly, durable: true }, { type, target, options });
        return { rootfs: target };
      }
      case "layers":
        await openLayers(sandbox, task, source, timeoutMs);
        return { rootfs: rootIn(task.id) };
    }
  }

  /** The image read-only, and over it what the container writes, which is on a drive of its own. */
  async function openLayers(
    sandbox: Sandbox,
    task: Task,
    { layers, shared }: Extract<RootSource, { kind: "layers" }>,
    timeoutMs: number,
  ): Promise<void> {
    const folder = folders.make(sandbox, task);
    const make = (to: string) => makeImage(sandbox.monitor, imageKey(task.id), layers, to, timeoutMs);
    const image = await obtainImage(layers, shared, folder, make);
    if (!image.wasThere) log.info({ sandbox: sandbox.id, task: task.id, image: image.path }, "made an image of a root");
    const [root, writable] = [rootIn(task.id), writableIn(task.id)];
    try {
      const mount = { type: "erofs", target: root, options: ["ro"] };
      await drives.attach(sandbox, task, { path: image.path, readOnly: true, durable: false }, mount);
    } finally {
      image.release();
    }
    const path = await makeWritableLayer(folder, parts.writableBytes);
    const mount = { type: "ext4", target: writable, options: [] };
    await drives.attach(sandbox, task, { path, readOnly: false, durable: false }, mount);
    const options = [`lowerdir=${root}`, `upperdir=${writable}/${UPPER}`, `workdir=${writable}/${WORK}`];
    const overlay = { type: "overlay", source: "overlay", target: "", options };
    await machines.of(sandbox).guest.processes.mount([overlay], root);
  }

  /** Kept for others where it is theirs, too. One that cannot be kept, or that nobody could make, is made for this container. */
  async function obtainImage(
    layers: readonly string[],
    shared: boolean,
    folder: string,
    make: (folder: string) => Promise<string>,
  ): Promise<SealedFile> {
    if (shared) {
      try {
        return await images.obtain(imageName(layers), make);
      } catch (error) {
        if (!(error instanceof NotMade)) throw error;
        log.warn({ layers, err: error.message }, "an image of a root is not kept");
      }
    }
    return { path: join(folder, await make(folder)), wasThere: false, release() {} };
  }

  /**
   * Also of what came by the share: the guest keeps files open at the host's file server for as long as it remembers them,
   * and with them what the host has mounted there. A guest that does not do it is not waited for any longer.
   */
  async function unmountInGuest(sandbox: Sandbox, { id }: Task): Promise<void> {
    const { processes, writeFiles } = machines.of(sandbox).guest;
    const shared = namesInShare(shareOf(sandbox), id).map((name) => `${GUEST_SHARE}/${id}/${name}`);
    try {
      for (const target of [rootIn(id), writableIn(id), ...shared]) await processes.unmount(target);
      await writeFiles([{ path: "/proc/sys/vm/drop_caches", content: FORGET_NAMES, mode: 0 }]);
    } catch (error) {
      log.warn(
        { sandbox: sandbox.id, task: id, err: errorText(error) },
        "a machine does not unmount what a container had",
      );
    }
  }

  /**
   * "ro" is of a mount, and not of those below it. The guest mounts them when somebody first comes there, and a mount that comes so
   * below a read-only one is read-only as well: so they are there before the container's is.
   */
  async function visitBelow(sandbox: Sandbox, { id }: Task, { source, name }: Bind, mountinfo: string): Promise<void> {
    const below = writableBelow(mountinfo, realpathSync(source));
    if (below.length === 0) return;
    if (below.length > VISITED_MOST) {
      log.warn({ sandbox: sandbox.id, task: id, source, mounts: below.length }, "most mounts below it are read-only");
    }
    // A folder cannot be read as a file is: to try is enough.
    const paths = below.slice(0, VISITED_MOST).map((path) => `${GUEST_SHARE}/${id}/${name}/${path}/.`);
    await machines.of(sandbox).guest.readFiles(paths);
  }

  async function openDevices(
    sandbox: Sandbox,
    task: Task,
    writable: ReadonlyMap<DeviceNumber, boolean>,
  ): Promise<ReadonlyMap<DeviceNumber, GuestDrive>> {
    const opened = new Map<DeviceNumber, GuestDrive>();
    for (const [number, write] of writable) {
      const readOnly = !write || isReadOnlyDevice(number);
      const drive = { path: blockDeviceNode(number), readOnly, durable: true };
      opened.set(number, await drives.attach(sandbox, task, drive));
    }
    return opened;
  }

  return {
    async open(sandbox, task, spec, rootfs, timeoutMs) {
      const { writable, mounted } = passedDevices(spec);
      const root = await openRoot(sandbox, task, spec, rootfs, timeoutMs);
      return { ...root, mounted, drives: await openDevices(sandbox, task, writable) };
    },

    async bind(sandbox, task, binds) {
      // Once for all of them: it is long on a host with many pods.
      let mountinfo: string | undefined;
      for (const bind of binds) {
        const isFolder = statSync(bind.source).isDirectory();
        await mountInShare(shareOf(sandbox), sandbox.monitor, task.id, bind.name, [bindMount(bind)], isFolder);
        if (!isFolder || !bind.options.includes("ro")) continue;
        mountinfo ??= readFileSync("/proc/self/mountinfo", "utf8");
        await visitBelow(sandbox, task, bind, mountinfo);
      }
    },

    interrupt: (sandbox, task) => endMakingImage(sandbox.monitor, imageKey(task.id)),

    async close(sandbox, task) {
      await endMakingImage(sandbox.monitor, imageKey(task.id));
      if (!machines.isOver(sandbox)) await unmountInGuest(sandbox, task);
      await drives.detachAll(sandbox, task);
      await leaveShare(shareOf(sandbox), sandbox.monitor, task.id);
      folders.remove(sandbox, task);
    },
  };
}

/** Without mounts a container's root is a folder of the host's, as the spec has it. UNKNOWN, as runc's, if there is none. */
function rootMounts({ bundle }: Task, { root }: OciSpec, mounts: readonly Mount[]): readonly Mount[] {
  if (mounts.length > 0) return mounts;
  const source = resolve(bundle, root?.path ?? "rootfs");
  if (!existsSync(source)) {
    throw unknown(`OCI runtime create failed: invalid rootfs: stat ${source}: no such file or directory`);
  }
  return [{ type: "bind", source, target: "", options: ["rbind", "rprivate"] }];
}
