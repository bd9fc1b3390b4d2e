import { io } from "@kuasar/proto/metrics";
import { expect } from "chai";
import type { ReadStatFile } from "./stat-files.ts";
import { blkioStat, cpuStat, memoryStat, oomControl, pidsStat } from "./stats-v1.ts";
import { metricsV2, parsePressure, parseRdma } from "./stats-v2.ts";

const files =
  (texts: Record<string, string>): ReadStatFile =>
  (name) =>
    texts[name];

describe("statistics of a v1 cgroup", () => {
  it("have pids, with 0 for no limit", () => {
    expect(pidsStat(files({ "pids.current": "3\n", "pids.max": "max\n" }))).to.deep.equal({ current: 3, limit: 0 });
    expect(pidsStat(files({}))).to.equal(undefined);
  });

  it("have cpu times in nanoseconds", () => {
    const cpu = cpuStat(
      files({ "cpu.stat": "nr_periods 1\nnr_throttled 2\nthrottled_time 3\n" }),
      files({ "cpuacct.stat": "user 5\nsystem 7\n", "cpuacct.usage": "123456\n", "cpuacct.usage_percpu": "1 2 \n" }),
    );
    expect(cpu).to.deep.equal({
      usage: { total: 123_456, user: 50_000_000, kernel: 70_000_000, perCpu: [1, 2] },
      throttling: { periods: 1, throttledPeriods: 2, throttledTime: 3 },
    });
  });

  it("have memory with the largest limit there is", () => {
    const limit = "9223372036854771712";
    const memory = memoryStat(
      files({
        "memory.stat": `cache 1\nrss 2\ntotal_rss 4\nhierarchical_memory_limit ${limit}\n`,
        "memory.usage_in_bytes": "99\n",
        "memory.limit_in_bytes": `${limit}\n`,
      }),
    );
    expect(memory).to.include({ cache: 1, rss: 2, totalRss: 4 });
    const { Metrics } = io.containerd.cgroups.v1;
    const read = Metrics.decode(Metrics.encode({ memory }));
    expect(read.memory?.usage).to.include({ usage: 99 });
    expect(String(BigInt(read.memory?.hierarchicalMemoryLimit ?? 0))).to.equal(limit);
  });

  it("have the counter of OOM kills and block device figures", () => {
    expect(oomControl(files({ "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n" }))).to.deep.equal({
      oomKillDisable: 0,
      underOom: 0,
      oomKill: 2,
    });
    const text = "254:0 Read 10\n254:0 Write 20\n254:0 Total 30\nTotal 30\n";
    expect(
      blkioStat(files({ "blkio.throttle.io_service_bytes": text }))?.ioServiceBytesRecursive?.map((e) => e.op),
    ).to.deep.equal(["Read", "Write", "Total"]);
  });
});

describe("statistics of a v2 cgroup", () => {
  const text = {
    "cpu.stat": "usage_usec 10\nuser_usec 4\nsystem_usec 6\n",
    "cpu.pressure": "some avg10=1.50 avg60=0.00 avg300=0.00 total=7\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    "memory.stat": "anon 1\nfile 2\npgfault 3\n",
    "memory.current": "4096\n",
    "memory.max": "max\n",
    "memory.events": "low 0\nhigh 0\nmax 1\noom 2\noom_kill 3\n",
    "pids.current": "5\n",
    "pids.max": "max\n",
    "io.stat": "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n259:1 \n",
  };

  it("are read from the kernel's files, and 'max' survives the wire as 2^64 - 1", () => {
    const metrics = metricsV2(files(text), []);
    expect(metrics.cpu).to.include({ usageUsec: 10, userUsec: 4, systemUsec: 6 });
    expect(metrics.cpu?.psi?.some).to.include({ avg10: 1.5, total: 7 });
    expect(metrics.memoryEvents).to.deep.equal({ low: 0, high: 0, max: 1, oom: 2, oomKill: 3 });
    expect(metrics.io?.usage?.[0]).to.deep.equal({ major: 254, minor: 0, rbytes: 1, wbytes: 2, rios: 3, wios: 4 });
    const { Metrics } = io.containerd.cgroups.v2;
    const read = Metrics.decode(Metrics.encode(metrics));
    expect(read.pids).to.include({ current: 5 });
    expect(read.pids?.limit).to.equal(2 ** 64);
    expect(read.memory).to.include({ usage: 4096, anon: 1 });
    const bytes = Buffer.from(Metrics.encode({ pids: metrics.pids })).toString("hex");
    expect(bytes).to.match(/10ffffffffffffffffff01$/);
  });

  it("may lack what the kernel does not have", () => {
    expect(parsePressure(undefined)).to.equal(undefined);
    expect(metricsV2(files({}), []).memoryEvents).to.equal(undefined);
    expect(parseRdma("mlx4_0 hca_handle=2 hca_object=max\n")).to.deep.equal([
      { device: "mlx4_0", hcaHandles: 2, hcaObjects: 0xffff_ffff },
    ]);
  });
});
