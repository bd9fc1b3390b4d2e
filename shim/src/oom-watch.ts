import * as sys from "sys";
import { type CgroupFolder, cgroupFolder } from "./platform/cgroup-folder.ts";
import { readTextIfThere, writeKernelFile } from "./platform/files.ts";
import { unwatch, watch } from "./platform/loop.ts";

/** Tells of processes that the kernel kills because their cgroup is out of memory. */
export interface OomWatch {
  close(): void;
}

const COUNTER_BYTES = 8;

/** Watches the memory cgroup that the process is in now; undefined where there is none. */
export function watchOom(pid: number, onOom: () => void): OomWatch | undefined {
  const cgroup = cgroupFolder(pid, "memory");
  if (!cgroup || !sys.stat(`${cgroup.folder}/${cgroup.version === 1 ? "memory.oom_control" : "memory.events"}`)) {
    return undefined;
  }
  return cgroup.version === 1 ? watchControl(cgroup, onOom) : watchEvents(cgroup, onOom);
}

/** cgroup v1: a counter that the kernel adds to, also once when the cgroup is removed (memory.txt, "OOM control"). */
function watchControl({ folder }: CgroupFolder, onOom: () => void): OomWatch {
  const control = sys.open(`${folder}/memory.oom_control`, sys.O_RDONLY, 0);
  const counter = sys.eventFd();
  const buffer = new ArrayBuffer(COUNTER_BYTES);
  const close = closing(counter, control);
  try {
    writeKernelFile(`${folder}/cgroup.event_control`, `${counter} ${control}`);
  } catch (error) {
    close();
    throw error;
  }
  watch(counter, sys.EPOLLIN, () => {
    sys.read(counter, buffer, 0, COUNTER_BYTES);
    if (sys.stat(folder)) onOom();
    else close();
  });
  return { close };
}

/** cgroup v2: a file whose changes are told of (cgroup-v2.rst, memory.events). */
function watchEvents({ folder }: CgroupFolder, onOom: () => void): OomWatch {
  const path = `${folder}/memory.events`;
  const events = sys.open(path, sys.O_RDONLY, 0);
  const close = closing(events);
  let kills = readKills(path) ?? 0;
  watch(events, sys.EPOLLPRI, () => {
    const now = readKills(path);
    if (now === undefined) {
      close();
    } else if (now > kills) {
      kills = now;
      onOom();
    }
  });
  return { close };
}

/** undefined once the cgroup has been removed. */
function readKills(path: string): number | undefined {
  const kills = /^oom_kill (\d+)$/m.exec(readTextIfThere(path) ?? "")?.[1];
  return kills === undefined ? undefined : Number(kills);
}

function closing(watched: number, ...others: number[]): () => void {
  let open = true;
  return () => {
    if (!open) return;
    open = false;
    unwatch(watched);
    for (const fd of [watched, ...others]) sys.close(fd);
  };
}
