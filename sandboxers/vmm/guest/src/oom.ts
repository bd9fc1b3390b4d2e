import type { ProcessTable } from "@kuasar/shim/monitor/process-table";
import { readTextIfThere } from "@kuasar/shim/platform/files";
import { unwatch, watch } from "@kuasar/shim/platform/loop";
import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import { requireAbsolute } from "./guest-files.ts";

/**
 * Answers when more than `count` processes of the cgroup have been killed for lack of memory, or the process has exited
 * (cgroup-v2.rst, memory.events).
 */
export async function waitForOom(
  table: ProcessTable,
  cgroup: string,
  count: number,
  key: string,
): Promise<{ count: number; exited: boolean }> {
  const path = `/sys/fs/cgroup${requireAbsolute(cgroup)}/memory.events`;
  const before = killsIn(path);
  const exit = table.wait(key);
  if (before > count || table.get(key).exit) return { count: before, exited: table.get(key).exit !== undefined };
  const fd = sys.open(path, sys.O_RDONLY, 0);
  try {
    return await new Promise((resolve, reject) => {
      const look = (exited: boolean) => {
        try {
          const kills = killsIn(path);
          if (exited || kills > count) resolve({ count: kills, exited });
        } catch (error) {
          reject(error);
        }
      };
      watch(fd, sys.EPOLLPRI, () => look(false));
      exit.then(() => look(true), reject);
    });
  } finally {
    unwatch(fd);
    sys.close(fd);
  }
}

function killsIn(path: string): number {
  const kills = /^oom_kill (\d+)$/m.exec(readTextIfThere(path) ?? "")?.[1];
  if (kills === undefined) throw new StatusError(Code.NOT_FOUND, `no cgroup ${path}`);
  return Number(kills);
}
