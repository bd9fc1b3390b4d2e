import { expect } from "chai";
import { parseProcCgroup } from "./cgroup-paths.ts";
import { cgroupFolder, parseHierarchies, workingHierarchies } from "./hierarchies.ts";
import { resourceFiles, weightOfShares } from "./resource-files.ts";

const V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate";
const HYBRID = [
  "22 1 254:0 / / rw - ext4 /dev/vda rw",
  "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct",
  "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory",
  "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd",
  "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw",
].join("\n");

describe("the host's cgroup hierarchies", () => {
  it("are v2 alone on a unified host", () => {
    const all = parseHierarchies(V2);
    expect(all.mode).to.equal("unified");
    expect(workingHierarchies(all)).to.deep.equal([{ mountpoint: "/sys/fs/cgroup", root: "/", controllers: [] }]);
  });

  it("are the v1 controllers on a hybrid host", () => {
    const all = parseHierarchies(HYBRID);
    expect(all.mode).to.equal("hybrid");
    expect(all.v1.map(({ controllers }) => controllers)).to.deep.equal([
      ["cpu", "cpuacct"],
      ["memory"],
      ["name=systemd"],
    ]);
    expect(workingHierarchies(all)).to.equal(all.v1);
    expect(parseHierarchies(HYBRID.split("\n").slice(0, 4).join("\n")).mode).to.equal("legacy");
  });

  it("may be mounted from below their root, and with escaped names", () => {
    const [nested] = parseHierarchies("1 1 0:1 /docker/abc /sys/fs/cg\\040x rw - cgroup cgroup rw,memory").v1;
    expect(nested && cgroupFolder(nested, "/docker/abc/pod")).to.equal("/sys/fs/cg x/pod");
    expect(nested && cgroupFolder(nested, "/pod")).to.equal("/sys/fs/cg x/pod");
  });

  it("say where a process is, listing only what differs", () => {
    const text = "9:name=systemd:/a\n8:pids:/a\n5:cpu,cpuacct:/b:c\n4:memory:/a\n0::/u\n";
    expect(parseProcCgroup(text, "hybrid")).to.deep.equal({ common: "/a", other: { cpu: "/b:c", cpuacct: "/b:c" } });
    expect(parseProcCgroup(text, "unified")).to.deep.equal({ common: "/u" });
    expect(parseProcCgroup("", "unified")).to.equal(undefined);
  });
});

describe("the limits of a cgroup", () => {
  const resources = {
    cpu: { shares: 2, quota: 50_000, period: 100_000 },
    memory: { limit: 1 << 20 },
    pids: { limit: -1 },
  };

  it("are v1 files of the controller in question", () => {
    const files = (controllers: string[]) => resourceFiles({ mountpoint: "", root: "/", controllers }, resources);
    expect(files(["cpu", "cpuacct"])).to.deep.equal([
      ["cpu.shares", "2"],
      ["cpu.cfs_period_us", "100000"],
      ["cpu.cfs_quota_us", "50000"],
    ]);
    expect(files(["memory"])).to.deep.equal([["memory.limit_in_bytes", "1048576"]]);
    expect(files(["pids"])).to.deep.equal([["pids.max", "max"]]);
    expect(files(["name=systemd"])).to.deep.equal([]);
  });

  it("are v2 files, with shares as a weight", () => {
    expect(resourceFiles({ mountpoint: "", root: "/", controllers: [] }, resources)).to.deep.equal([
      ["cpu.weight", "1"],
      ["cpu.max", "50000 100000"],
      ["memory.max", "1048576"],
      ["pids.max", "max"],
    ]);
    expect([2, 1024, 262_144, 1, 1e9].map(weightOfShares)).to.deep.equal([1, 39, 10_000, 1, 10_000]);
  });
});
