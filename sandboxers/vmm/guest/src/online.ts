import { readText, readTextIfThere, writeKernelFile } from "@kuasar/shim/platform/files";
import * as sys from "sys";

const CPUS = "/sys/devices/system/cpu";
const AUTO_ONLINE = "/sys/devices/system/memory/auto_online_blocks";

/** From now on the kernel uses memory that is added as soon as it is there. */
export function expectMemory(): void {
  if (sys.stat(AUTO_ONLINE)) writeKernelFile(AUTO_ONLINE, "online");
}

/** Takes processors that have been added into use (cputopology.rst), and tells what there is. */
export function bringOnline(): { cpus: number; memoryBytes: number } {
  const online = new Set(cpusIn(readText(`${CPUS}/online`)));
  for (const cpu of cpusIn(readTextIfThere(`${CPUS}/present`) ?? "")) {
    if (online.has(cpu)) continue;
    writeKernelFile(`${CPUS}/cpu${cpu}/online`, "1");
    online.add(cpu);
  }
  return { cpus: online.size, memoryBytes: memoryBytes() };
}

export function memoryBytes(): number {
  const kilobytes = /^MemTotal:\s+(\d+)/m.exec(readText("/proc/meminfo"))?.[1] ?? "0";
  return Number(kilobytes) * 1024;
}

/** "0-2,4" */
export function cpusIn(list: string): number[] {
  return list
    .trim()
    .split(",")
    .filter((range) => range !== "")
    .flatMap((range) => {
      const [first = 0, last = first] = range.split("-").map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
}
