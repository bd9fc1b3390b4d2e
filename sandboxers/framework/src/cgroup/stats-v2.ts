import type { io } from "@kuasar/proto/metrics";
import { type CgroupPaths, controllerFolder } from "./cgroup-paths.ts";
import { folderReader, NO_LIMIT, parseKeyValues, type ReadStatFile, toCount } from "./stat-files.ts";
import { hugePageSizes } from "./stats-v1.ts";

type Metrics = io.containerd.cgroups.v2.IMetrics;
type Psi = io.containerd.cgroups.v2.IPSIStats;
type IoEntry = io.containerd.cgroups.v2.IIOEntry;
type RdmaEntry = io.containerd.cgroups.v2.IRdmaEntry;

const RDMA_NO_LIMIT = 0xffff_ffff;

/** What the v2 cgroup says. Contract: containerd's cgroups package, `cgroup2/manager.go`, `Stat`. */
export function readStatsV2(paths: CgroupPaths): Metrics {
  const folder = controllerFolder(paths, "");
  return metricsV2(folder === undefined ? () => undefined : folderReader(folder), hugePageSizes());
}

export function metricsV2(read: ReadStatFile, pageSizes: readonly string[]): Metrics {
  return {
    pids: { current: count(read("pids.current")), limit: count(read("pids.max")) },
    cpu: cpuStat(read),
    memory: memoryStat(read),
    ...memoryEvents(read),
    io: { usage: parseIo(read("io.stat")), psi: parsePressure(read("io.pressure")) },
    rdma: { current: parseRdma(read("rdma.current")), limit: parseRdma(read("rdma.max")) },
    hugetlb: pageSizes.map((pagesize) => ({
      pagesize,
      max: count(read(`hugetlb.${pagesize}.max`)),
      current: count(read(`hugetlb.${pagesize}.current`)),
    })),
  };
}

function cpuStat(read: ReadStatFile): Metrics["cpu"] {
  const raw = parseKeyValues(read("cpu.stat"));
  return {
    usageUsec: raw.usage_usec ?? 0,
    userUsec: raw.user_usec ?? 0,
    systemUsec: raw.system_usec ?? 0,
    nrPeriods: raw.nr_periods ?? 0,
    nrThrottled: raw.nr_throttled ?? 0,
    throttledUsec: raw.throttled_usec ?? 0,
    psi: parsePressure(read("cpu.pressure")),
  };
}

function memoryStat(read: ReadStatFile): Metrics["memory"] {
  const raw = parseKeyValues(read("memory.stat"));
  const value = (key: string) => raw[key] ?? 0;
  return {
    anon: value("anon"),
    file: value("file"),
    kernelStack: value("kernel_stack"),
    slab: value("slab"),
    sock: value("sock"),
    shmem: value("shmem"),
    fileMapped: value("file_mapped"),
    fileDirty: value("file_dirty"),
    fileWriteback: value("file_writeback"),
    anonThp: value("anon_thp"),
    inactiveAnon: value("inactive_anon"),
    activeAnon: value("active_anon"),
    inactiveFile: value("inactive_file"),
    activeFile: value("active_file"),
    unevictable: value("unevictable"),
    slabReclaimable: value("slab_reclaimable"),
    slabUnreclaimable: value("slab_unreclaimable"),
    pgfault: value("pgfault"),
    pgmajfault: value("pgmajfault"),
    workingsetRefault: value("workingset_refault"),
    workingsetActivate: value("workingset_activate"),
    workingsetNodereclaim: value("workingset_nodereclaim"),
    pgrefill: value("pgrefill"),
    pgscan: value("pgscan"),
    pgsteal: value("pgsteal"),
    pgactivate: value("pgactivate"),
    pgdeactivate: value("pgdeactivate"),
    pglazyfree: value("pglazyfree"),
    pglazyfreed: value("pglazyfreed"),
    thpFaultAlloc: value("thp_fault_alloc"),
    thpCollapseAlloc: value("thp_collapse_alloc"),
    usage: count(read("memory.current")),
    usageLimit: count(read("memory.max")),
    maxUsage: count(read("memory.peak")),
    swapUsage: count(read("memory.swap.current")),
    swapLimit: count(read("memory.swap.max")),
    swapMaxUsage: count(read("memory.swap.peak")),
    psi: parsePressure(read("memory.pressure")),
  };
}

function memoryEvents(read: ReadStatFile): Pick<Metrics, "memoryEvents"> {
  const text = read("memory.events");
  if (text === undefined) {
    return {};
  }
  const raw = parseKeyValues(text);
  return {
    memoryEvents: {
      low: raw.low ?? 0,
      high: raw.high ?? 0,
      max: raw.max ?? 0,
      oom: raw.oom ?? 0,
      oomKill: raw.oom_kill ?? 0,
    },
  };
}

/** Lines `major:minor rbytes=1 wbytes=2 rios=3 wios=4 ...`. */
export function parseIo(text: string | undefined): IoEntry[] {
  const entries: IoEntry[] = [];
  for (const line of (text ?? "").split("\n")) {
    const [device = "", ...pairs] = line.split(" ");
    const match = /^(\d+):(\d+)$/.exec(device);
    if (match !== null && pairs.length > 0) {
      const raw = parsePairs(pairs);
      entries.push({
        major: Number(match[1]),
        minor: Number(match[2]),
        rbytes: toCount(raw.rbytes),
        wbytes: toCount(raw.wbytes),
        rios: toCount(raw.rios),
        wios: toCount(raw.wios),
      });
    }
  }
  return entries;
}

/** Lines `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and `full ...`; undefined without PSI in the kernel. */
export function parsePressure(text: string | undefined): Psi | undefined {
  if (text === undefined) {
    return undefined;
  }
  const psi: Psi = {};
  for (const line of text.split("\n")) {
    const [kind, ...pairs] = line.trim().split(/\s+/);
    if (kind === "some" || kind === "full") {
      const raw = parsePairs(pairs);
      psi[kind] = {
        avg10: toCount(raw.avg10),
        avg60: toCount(raw.avg60),
        avg300: toCount(raw.avg300),
        total: toCount(raw.total),
      };
    }
  }
  return psi;
}

/** Lines `device hca_handle=2 hca_object=2000`, or `max`. */
export function parseRdma(text: string | undefined): RdmaEntry[] {
  const entries: RdmaEntry[] = [];
  for (const line of (text ?? "").split("\n")) {
    const [device = "", ...pairs] = line.trim().split(/\s+/);
    if (device !== "" && pairs.length > 0) {
      const raw = parsePairs(pairs);
      entries.push({ device, hcaHandles: rdmaCount(raw.hca_handle), hcaObjects: rdmaCount(raw.hca_object) });
    }
  }
  return entries;
}

function rdmaCount(text: string | undefined): number {
  return text === "max" ? RDMA_NO_LIMIT : toCount(text);
}

function count(text: string | undefined): number {
  return text?.trim() === "max" ? NO_LIMIT : toCount(text);
}

function parsePairs(pairs: readonly string[]): Record<string, string> {
  const values: Record<string, string> = Object.create(null);
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    if (equals > 0) {
      values[pair.slice(0, equals)] = pair.slice(equals + 1);
    }
  }
  return values;
}
