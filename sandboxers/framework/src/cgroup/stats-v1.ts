import { readdirSync } from "node:fs";
import type { io } from "@kuasar/proto/metrics";
import { type CgroupPaths, controllerFolder } from "./cgroup-paths.ts";
import { folderReader, parseKeyValues, type ReadStatFile, toCount } from "./stat-files.ts";

type Metrics = io.containerd.cgroups.v1.IMetrics;
type MemoryEntry = io.containerd.cgroups.v1.IMemoryEntry;
type BlkioEntry = io.containerd.cgroups.v1.IBlkIOEntry;

// USER_HZ, in which cpuacct.stat counts, is 100 on every Linux that containers run on.
const NANOSECONDS_PER_TICK = 10_000_000;

/** What the v1 controllers say of a cgroup. Contract: containerd's cgroups package, `cgroup1`. */
export function readStatsV1(paths: CgroupPaths): Metrics {
  const reader = (controller: string): ReadStatFile => {
    const folder = controllerFolder(paths, controller);
    return folder === undefined ? () => undefined : folderReader(folder);
  };
  const memory = reader("memory");
  return {
    hugetlb: hugetlbStats(reader("hugetlb"), hugePageSizes()),
    pids: pidsStat(reader("pids")),
    cpu: cpuStat(reader("cpu"), reader("cpuacct")),
    memory: memoryStat(memory),
    memoryOomControl: oomControl(memory),
    blkio: blkioStat(reader("blkio")),
  };
}

export function pidsStat(read: ReadStatFile): Metrics["pids"] {
  const current = read("pids.current");
  // "max" is 0 here, for compatibility.
  return current === undefined ? undefined : { current: toCount(current), limit: toCount(read("pids.max")) };
}

export function cpuStat(cpu: ReadStatFile, cpuacct: ReadStatFile): Metrics["cpu"] {
  const throttle = parseKeyValues(cpu("cpu.stat"));
  const ticks = parseKeyValues(cpuacct("cpuacct.stat"));
  return {
    usage: {
      total: toCount(cpuacct("cpuacct.usage")),
      user: (ticks.user ?? 0) * NANOSECONDS_PER_TICK,
      kernel: (ticks.system ?? 0) * NANOSECONDS_PER_TICK,
      perCpu: (cpuacct("cpuacct.usage_percpu") ?? "").split(/\s+/).filter(Boolean).map(toCount),
    },
    throttling: {
      periods: throttle.nr_periods ?? 0,
      throttledPeriods: throttle.nr_throttled ?? 0,
      throttledTime: throttle.throttled_time ?? 0,
    },
  };
}

export function memoryStat(read: ReadStatFile): Metrics["memory"] {
  const text = read("memory.stat");
  if (text === undefined) {
    return undefined;
  }
  const raw = parseKeyValues(text);
  const value = (key: string) => raw[key] ?? 0;
  return {
    cache: value("cache"),
    rss: value("rss"),
    rssHuge: value("rss_huge"),
    mappedFile: value("mapped_file"),
    dirty: value("dirty"),
    writeback: value("writeback"),
    pgPgIn: value("pgpgin"),
    pgPgOut: value("pgpgout"),
    pgFault: value("pgfault"),
    pgMajFault: value("pgmajfault"),
    inactiveAnon: value("inactive_anon"),
    activeAnon: value("active_anon"),
    inactiveFile: value("inactive_file"),
    activeFile: value("active_file"),
    unevictable: value("unevictable"),
    hierarchicalMemoryLimit: value("hierarchical_memory_limit"),
    hierarchicalSwapLimit: value("hierarchical_memsw_limit"),
    totalCache: value("total_cache"),
    totalRss: value("total_rss"),
    totalRssHuge: value("total_rss_huge"),
    totalMappedFile: value("total_mapped_file"),
    totalDirty: value("total_dirty"),
    totalWriteback: value("total_writeback"),
    totalPgPgIn: value("total_pgpgin"),
    totalPgPgOut: value("total_pgpgout"),
    totalPgFault: value("total_pgfault"),
    totalPgMajFault: value("total_pgmajfault"),
    totalInactiveAnon: value("total_inactive_anon"),
    totalActiveAnon: value("total_active_anon"),
    totalInactiveFile: value("total_inactive_file"),
    totalActiveFile: value("total_active_file"),
    totalUnevictable: value("total_unevictable"),
    usage: memoryEntry(read, "memory"),
    swap: memoryEntry(read, "memory.memsw"),
    kernel: memoryEntry(read, "memory.kmem"),
    kernelTcp: memoryEntry(read, "memory.kmem.tcp"),
  };
}

function memoryEntry(read: ReadStatFile, prefix: string): MemoryEntry {
  return {
    usage: toCount(read(`${prefix}.usage_in_bytes`)),
    max: toCount(read(`${prefix}.max_usage_in_bytes`)),
    failcnt: toCount(read(`${prefix}.failcnt`)),
    limit: toCount(read(`${prefix}.limit_in_bytes`)),
  };
}

export function oomControl(read: ReadStatFile): Metrics["memoryOomControl"] {
  const text = read("memory.oom_control");
  if (text === undefined) {
    return undefined;
  }
  const raw = parseKeyValues(text);
  return {
    oomKillDisable: raw.oom_kill_disable ?? 0,
    underOom: raw.under_oom ?? 0,
    oomKill: raw.oom_kill ?? 0,
  };
}

export function blkioStat(read: ReadStatFile): Metrics["blkio"] {
  const entries = (name: string) => parseBlkio(read(`blkio.${name}`));
  const bytes = entries("io_service_bytes_recursive");
  if (bytes.length > 0) {
    return {
      ioServiceBytesRecursive: bytes,
      ioServicedRecursive: entries("io_serviced_recursive"),
      ioQueuedRecursive: entries("io_queued_recursive"),
      ioServiceTimeRecursive: entries("io_service_time_recursive"),
      ioWaitTimeRecursive: entries("io_wait_time_recursive"),
      ioMergedRecursive: entries("io_merged_recursive"),
      ioTimeRecursive: entries("time_recursive"),
      sectorsRecursive: entries("sectors_recursive"),
    };
  }
  // Devices whose scheduler does not account: what the throttling layer saw.
  return {
    ioServicedRecursive: entries("throttle.io_serviced"),
    ioServiceBytesRecursive: entries("throttle.io_service_bytes"),
  };
}

/** Lines `major:minor [operation] value`; the line `Total value` is none of them. */
export function parseBlkio(text: string | undefined): BlkioEntry[] {
  const entries: BlkioEntry[] = [];
  for (const line of (text ?? "").split("\n")) {
    const match = /^(\d+):(\d+)(?:\s+([A-Za-z]+))?\s+(\d+)$/.exec(line.trim());
    if (match !== null) {
      entries.push({
        major: Number(match[1]),
        minor: Number(match[2]),
        op: match[3] ?? "",
        value: Number(match[4]),
        device: "",
      });
    }
  }
  return entries;
}

function hugetlbStats(read: ReadStatFile, sizes: readonly string[]): NonNullable<Metrics["hugetlb"]> {
  return sizes
    .filter((pagesize) => read(`hugetlb.${pagesize}.usage_in_bytes`) !== undefined)
    .map((pagesize) => ({
      pagesize,
      usage: toCount(read(`hugetlb.${pagesize}.usage_in_bytes`)),
      max: toCount(read(`hugetlb.${pagesize}.max_usage_in_bytes`)),
      failcnt: toCount(read(`hugetlb.${pagesize}.failcnt`)),
    }));
}

let pageSizes: string[] | undefined;

/** As in the names of hugetlb's files: 2MB, 1GB. */
export function hugePageSizes(): readonly string[] {
  pageSizes ??= hugePageFolders().map((name) => {
    const kib = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1] ?? 0);
    return kib >= 1 << 20 ? `${kib >> 20}GB` : kib >= 1 << 10 ? `${kib >> 10}MB` : `${kib}KB`;
  });
  return pageSizes;
}

function hugePageFolders(): string[] {
  try {
    return readdirSync("/sys/kernel/mm/hugepages");
  } catch {
    return [];
  }
}
