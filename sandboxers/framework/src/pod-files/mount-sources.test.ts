import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { removeStandIns, repairMountSources, type SourceKind, standInsOf } from "./mount-sources.ts";
import type { PodFiles } from "./pod-files.ts";
import { resolvConf } from "./resolv-conf.ts";

const FILES: PodFiles = {
  "/etc/hostname": "/pod/hostname",
  "/etc/hosts": "/pod/hosts",
  "/etc/resolv.conf": "/pod/resolv.conf",
  "/dev/shm": "/pod/shm",
};
const annotations = { "io.kubernetes.cri.container-type": "container" };
const kindOf = (path: string): SourceKind => {
  if (path === "/there") return "file";
  return path.startsWith("/made/") ? "empty folder" : "missing";
};

describe("a container's mounts in a pod that containerd made no files for", () => {
  it("get the pod's own files for those that are missing", () => {
    const mounts = [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/etc/hosts", source: "/gone/hosts", options: ["rbind"] },
      { destination: "/etc/resolv.conf", source: "/there" },
      { destination: "/dev/shm", source: "/gone/shm" },
      { destination: "/etc/hostname", source: "/gone/hostname" },
      { destination: "/data", source: "/gone/data" },
    ];
    const repaired = repairMountSources({ mounts, annotations }, FILES, kindOf);
    expect(repaired?.map(({ source }) => source)).to.deep.equal([
      "proc",
      "/pod/hosts",
      "/there",
      "/pod/shm",
      "/pod/hostname",
      "/gone/data",
    ]);
    expect(repaired?.[1]?.options).to.deep.equal(["rbind"]);
  });

  it("get a hostname, which containerd leaves out", () => {
    const repaired = repairMountSources({ mounts: [], annotations, root: { readonly: true } }, FILES, kindOf);
    expect(repaired).to.deep.equal([
      { destination: "/etc/hostname", type: "bind", source: "/pod/hostname", options: ["rbind", "rprivate", "ro"] },
    ]);
  });

  it("are left alone if nothing is missing", () => {
    const mounts = [{ destination: "/etc/hostname", source: "/there" }];
    expect(repairMountSources({ mounts, annotations }, FILES, kindOf)).to.equal(undefined);
    expect(repairMountSources({}, FILES, kindOf)).to.equal(undefined);
  });
});

describe("the empty folders that containerd makes in place of a pod's files", () => {
  it("are replaced", () => {
    const mounts = [
      { destination: "/etc/hosts", source: "/made/hosts" },
      { destination: "/dev/shm", source: "/made/shm" },
      { destination: "/data", source: "/made/data" },
    ];
    const repaired = repairMountSources({ mounts }, FILES, kindOf);
    expect(repaired?.map(({ source }) => source)).to.deep.equal(["/pod/hosts", "/pod/shm", "/made/data"]);
  });

  it("are removed, but nothing that holds something or is another pod's", () => {
    const top = mkdtempSync(join(tmpdir(), "stand-ins-"));
    try {
      const [mine, other, full] = ["mine", "other", "full"].map((id) => join(top, "sandboxes", id));
      for (const folder of [mine, other, full]) mkdirSync(join(folder as string, "hosts"), { recursive: true });
      writeFileSync(join(full as string, "kept"), "");
      const before = [mine, other, full].map((folder) => ({
        destination: "/etc/hosts",
        source: join(folder as string, "hosts"),
      }));
      removeStandIns(standInsOf(before, [], "mine"));
      expect([mine, other].map((folder) => existsSync(folder as string))).to.deep.equal([false, true]);
      removeStandIns(standInsOf(before, [], "full"));
      expect(existsSync(join(full as string, "hosts"))).to.equal(false);
      expect(existsSync(join(full as string, "kept"))).to.equal(true);
    } finally {
      rmSync(top, { recursive: true });
    }
  });
});

describe("a pod's resolv.conf", () => {
  it("has its DNS config, and not a line more", () => {
    expect(resolvConf({ servers: ["10.0.0.1", "10.0.0.2"], searches: ["a", "b"], options: ["ndots:5"] })).to.equal(
      "search a b\nnameserver 10.0.0.1\nnameserver 10.0.0.2\noptions ndots:5\n",
    );
    expect(resolvConf({ servers: ["1.1.1.1\nnameserver 6.6.6.6"], searches: [], options: [] })).to.equal(
      "nameserver 1.1.1.1 nameserver 6.6.6.6\n",
    );
  });
});
