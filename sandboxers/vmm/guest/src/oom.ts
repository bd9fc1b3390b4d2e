import { readTextIfThere } from "@kuasar/shim/platform/files";
import { unwatch, watch } from "@kuasar/shim/platform/loop";
import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import { requireAbsolute } from "./guest-files.ts";

/** Answers when more than `count` processes of the cgroup have been killed for lack of memory (cgroup-v2.rst, memory.events). */
export function waitForOom(cgroup: string, count: number): Promise<number> {
  const path = `/sys/fs/cgroup${requireAbsolute(cgroup)}/memory.events`;
  const now = killsIn(path);
  if (now > count) return Promise.resolve(now);
  const fd = sys.open(path, sys.O_RDONLY, 0);
  return new Promise((resolve, reject) => {
    const done = () => {
      unwatch(fd);
      sys.close(fd);
    };
    watch(fd, sys.EPOLLPRI, () => {
      try {
        const kills = killsIn(path);
        if (kills <= count) return;
        done();
        resolve(kills);
      } catch (error) {
        done();
        reject(error);
      }
    });
  });
}

function killsIn(path: string): number {
  const kills = /^oom_kill (\d+)$/m.exec(readTextIfThere(path) ?? "")?.[1];
  if (kills === undefined) throw new StatusError(Code.NOT_FOUND, `no cgroup ${path}`);
  return Number(kills);
}
