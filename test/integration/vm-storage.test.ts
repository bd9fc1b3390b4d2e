import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { unmountBelow } from "@kuasar/install/mount-table";
import { labParts } from "@kuasar/install/parts";
import type { ContainerConfig, Pod, PodConfig } from "@kuasar/install/pod";
import { patience, waitUntil } from "@kuasar/install/wait-until";
import { OciTypeUrl, packAny } from "@kuasar/proto/any";
import { packJson } from "@kuasar/proto/any-json";
import { runtimeoptions } from "@kuasar/proto/containerd";
import { runtime } from "@kuasar/proto/cri";
import { assert } from "chai";
import { execa } from "execa";
import { ociSpec } from "../conformance/container-spec.ts";
import { connectContainerd } from "../conformance/containerd-api.ts";
import { refusal } from "./cri/refusal.ts";
import { useLab } from "./lab.ts";
import { vmCases, withHypervisor } from "./vm-case.ts";
import { machineOf } from "./vm-processes.ts";

const { MountPropagation, NamespaceMode } = runtime.v1;
/** How storage comes into a machine does not hang on the way that containerd comes to the shim. */
const [vmCase] = vmCases;
if (!vmCase) throw new Error("there is no case with virtual machines");

describe("Files of the host in a virtual machine", function () {
  this.timeout(240_000);
  const lab = useLab(withHypervisor(vmCase, { rootfs: "VirtioFS" }));

  afterEach(async () => {
    await unmountBelow(join(lab().directory, "volumes"));
    await lab().assertNothingLeft();
  });

  it("are seen as they change, and are changed only where the pod may", async () => {
    const host = join(lab().directory, "volumes");
    const at = (...names: string[]) => join(host, ...names);
    for (const name of ["data", "config/..1", "locked"]) mkdirSync(at(name), { recursive: true });
    writeFileSync(at("locked", "file"), "locked\n");
    writeFileSync(at("config/..1/key"), "first\n");
    symlinkSync("..1", at("config/..data"));
    symlinkSync("..data/key", at("config/key"));
    const mountTmpfs = async (folder: string, propagation: string) => {
      mkdirSync(folder, { recursive: true });
      await execa("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]);
      await execa("mount", [propagation, folder]);
    };
    await mountTmpfs(at("nested"), "--make-shared");
    await mountTmpfs(at("nested/below"), "--make-shared");
    writeFileSync(at("nested/below/file"), "below\n");
    mkdirSync(at("around"));
    await mountTmpfs(at("around/inner"), "--make-private");
    await execa("mkfifo", [at("data/fifo")]);
    const pod = await lab().runPod({ network: "cni", configure: privilegedPod });
    const id = await pod.start({
      configure: (config) => {
        config.mounts = [
          { containerPath: "/data", hostPath: at("data") },
          { containerPath: "/config", hostPath: at("config"), readonly: true },
          { containerPath: "/locked", hostPath: at("locked"), readonly: true },
          {
            containerPath: "/nested",
            hostPath: at("nested"),
            propagation: MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
          },
          { containerPath: "/around", hostPath: at("around"), readonly: true },
          { containerPath: "/file", hostPath: at("locked/file"), readonly: true },
        ];
        privileged(config);
      },
    });
    const sh = shellOf(pod, id);

    assert.equal(await sh("cat /config/key /locked/file /nested/below/file /file"), "first\nlocked\nbelow\nlocked\n");
    await sh("echo guest > /data/guest");
    assert.equal(readFileSync(at("data/guest"), "utf8"), "guest\n");
    writeFileSync(at("data/host"), "host\n");
    assert.equal(await sh("cat /data/host"), "host\n");

    // As the kubelet changes a ConfigMap.
    mkdirSync(at("config/..2"));
    writeFileSync(at("config/..2/key"), "second\n");
    symlinkSync("..2", at("config/..tmp"));
    renameSync(at("config/..tmp"), at("config/..data"));
    await waitUntil(async () => (await sh("cat /config/key")) === "second\n", {
      what: "the new ConfigMap in the machine",
      timeoutMs: 10_000,
    });

    // Mounted on the host while the container runs.
    await mountTmpfs(at("nested/later"), "--make-private");
    writeFileSync(at("nested/later/file"), "later\n");
    await waitUntil(async () => (await sh("cat /nested/later/file 2>&1")) === "later\n", {
      what: "the host's later mount in the machine",
      timeoutMs: 10_000,
    });

    // Read-only is the volume, as with runc, and not what was mounted below it.
    assert.equal(
      await sh("touch /around/inner/new; touch /around/new 2>&1 || :; ls /around"),
      "touch: /around/new: Read-only file system\ninner\n",
    );
    assert.isTrue(existsSync(at("around/inner/new")));
    // Where a container has its own limits on a host of cgroup v2.
    assert.equal(await sh("cat /proc/self/cgroup"), "0::/\n");

    // By modules that the machine loads when it is asked for what they bring.
    assert.equal(await sh("ip link add made type bridge && ip -o link show made | cut -d: -f2"), " made\n");

    // Two volumes are two file systems: equal inode numbers in them are not the same file.
    assert.notEqual(await sh("stat -c %d /data"), await sh("stat -c %d /locked"));
    // Within the machine a FIFO works; to the host it is another one.
    assert.equal(await sh("(cat /data/fifo & echo through > /data/fifo; wait)"), "through\n");

    // A container that may do all in its machine, at what the machine has of the host.
    const all = "/proc/1/root/run/kuasar/share";
    const own = `${all}/${id}`;
    assert.include(await sh(`ls ${own}`), "rootfs");
    const before = readdirSync(at("locked"));
    for (const attempt of [
      "touch /locked/new",
      "echo x > /locked/file",
      "echo x > /file",
      "mount -o remount,bind,rw /locked && touch /locked/new",
      `touch ${all}/new`,
      `mkdir ${all}/other`,
      `ln -s /etc ${own}/mount9`,
      `rmdir ${own}/rootfs`,
      `mv ${own}/rootfs ${own}/away`,
    ]) {
      const { stdout, stderr } = await pod.exec(id, "sh", "-c", attempt);
      assert.match(stdout + stderr, /Read-only file system|Device or resource busy/, attempt);
    }
    // By the way that the share itself is seen, writing to each volume is refused where the host has it read-only.
    await pod.exec(id, "sh", "-c", `for volume in ${own}/mount*; do echo x > $volume/file || echo x > $volume; done`);
    assert.deepEqual(readdirSync(at("locked")), before);
    assert.equal(readFileSync(at("locked/file"), "utf8"), "locked\n");

    const both = pod.start({
      configure: (config) => {
        const propagation = MountPropagation.PROPAGATION_BIDIRECTIONAL;
        config.mounts = [{ containerPath: "/nested", hostPath: at("nested"), propagation }];
        privileged(config);
      },
    });
    assert.match(
      await refusal(both),
      /mount \/nested is rshared, and what a virtual machine mounts does not reach the host/,
    );

    await pod.remove();
    assert.isTrue(existsSync(at("data/guest")), "removing the pod leaves its volumes");
  });
});

describe("A root file system on a drive, and block devices", function () {
  this.timeout(240_000);
  const lab = useLab(withHypervisor(vmCase, { rootfs: "Block" }));
  let devices: string[] = [];

  before(async () => {
    const files = ["raw", "readonly"].map((name) => join(lab().directory, name));
    devices = [];
    for (const file of files) {
      writeFileSync(file, "");
      truncateSync(file, 8 << 20);
      devices.push((await execa("losetup", ["--find", "--show", file])).stdout);
    }
  });

  after(async () => {
    for (const device of devices) await execa("losetup", ["--detach", device]);
  });

  afterEach(() => lab().assertNothingLeft());

  it("belong to their containers, survive their sandboxer, and go with the pod", async () => {
    const [raw = "", readOnly = ""] = devices;
    const pod = await lab().runPod({ network: "cni" });
    const id = await pod.start({
      configure: (config) => {
        config.devices = [
          { hostPath: raw, containerPath: "/dev/raw", permissions: "rwm" },
          { hostPath: readOnly, containerPath: "/dev/readonly", permissions: "r" },
        ];
        config.mounts = [{ containerPath: "/dev/mounted", hostPath: raw }];
      },
    });
    const beside = await pod.start({
      configure: (config) => {
        config.linux.securityContext.readonlyRootfs = true;
      },
    });
    const sh = shellOf(pod, id);
    const { stats } = await lab().containerd.cri.runtime.containerStats({ containerId: id });
    assert.isAbove(Number(stats?.memory?.workingSetBytes?.value), 0);
    assert.match(await sh("mount"), /^overlay on \/ type overlay/m);
    await sh("echo mine > /written && dd if=/dev/zero of=/large bs=1M count=32 2>&1 && rm /large && mkfifo /fifo");
    assert.equal((await pod.exec(beside, "cat", "/written")).exitCode, 1);
    assert.match((await pod.exec(beside, "touch", "/new")).stderr, /Read-only file system/);

    // The same device under three names; what the guest writes is on the host's.
    await sh("echo from the guest > /tmp/text && dd if=/tmp/text of=/dev/raw conv=fsync 2>&1");
    assert.equal(readDevice(raw, 15), "from the guest\n");
    assert.match((await pod.exec(id, "sh", "-c", "echo x > /dev/readonly")).stderr, /Operation not permitted/);
    assert.equal(await sh("stat -c %t:%T /dev/raw"), await sh("stat -c %t:%T /dev/mounted"));
    assert.match(
      (await pod.exec(beside, "sh", "-c", "mknod /dev/shm/sda b 8 0 && cat /dev/shm/sda")).stderr,
      /denied|not permitted/,
    );

    // A hypervisor that a guest has taken over cannot write to what others have, too: both containers' image.
    const seen = readFileSync(`/proc/${machineOf(pod.id).hypervisor.pid}/mountinfo`, "utf8");
    const drives = [...seen.matchAll(/ \S+\/door\/(\d+) (r[ow])/g)].map(([, slot, access]) => `${slot} ${access}`);
    assert.sameMembers(drives, ["0 ro", "1 rw", "2 rw", "3 ro", "4 ro", "5 rw"]);

    const [image, ...others] = readdirSync(join(lab().sandboxDirectory ?? "", ".storage/images"));
    assert.match(image ?? "", /\.erofs$/);
    assert.deepEqual(others, [`${image}.sha256`]);

    await lab().sandboxer.kill("SIGKILL");
    await lab().sandboxer.start();
    assert.equal(await sh("cat /written"), "mine\n");
    const later = await pod.start();
    assert.equal((await pod.exec(later, "cat", "/written")).exitCode, 1);
    await pod.remove();
    assert.deepEqual(readdirSync(join(lab().sandboxDirectory ?? "", ".storage")), ["images"]);
  });

  it("is handed over as it is where it is a file system already, and keeps what was written", async () => {
    const tree = join(lab().directory, "tree");
    const image = join(lab().directory, "root.img");
    for (const name of ["bin", "proc", "dev", "sys", "tmp"]) mkdirSync(join(tree, name), { recursive: true });
    const { busybox } = await labParts();
    copyFileSync(busybox, join(tree, "bin/sh"));
    writeFileSync(join(tree, "marker"), "");
    await execa("mke2fs", ["-q", "-t", "ext4", "-d", tree, image, "32M"]);
    const { layout, ctrNamespace } = lab().containerd;
    const api = connectContainerd(layout.socket, ctrNamespace, 120_000 * patience);
    try {
      const id = "on-a-file";
      const args = ["sh", "-c", "test -f /marker && echo written > /written && exit 7"];
      const spec = packJson(OciTypeUrl.spec, ociSpec(`/${ctrNamespace}/${id}`, { args }));
      const options = packAny(runtimeoptions.v1.Options, { configPath: lab().runtimeOptionsFile });
      await api.containers.create({ container: { id, runtime: { name: lab().runtimeCase.type, options }, spec } });
      const rootfs = [{ type: "ext4", source: image, options: ["rw", "loop"] }];
      await api.tasks.create({ containerId: id, rootfs });
      await api.tasks.start({ containerId: id });
      assert.equal((await api.tasks.wait({ containerId: id })).exitStatus, 7);
      await api.tasks.delete({ containerId: id });
      await api.containers.delete({ id });
    } finally {
      api.close();
    }
    assert.equal((await execa("debugfs", ["-R", "cat /written", image])).stdout, "written");
  });
});

function readDevice(path: string, bytes: number): string {
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(bytes);
    readSync(file, buffer);
    return buffer.toString();
  } finally {
    closeSync(file);
  }
}

function shellOf(pod: Pod, id: string): (script: string) => Promise<string> {
  return async (script) => {
    const { stdout, stderr, exitCode } = await pod.exec(id, "sh", "-c", script);
    assert.equal(exitCode, 0, `${script}: ${stdout}${stderr}`);
    return stdout;
  };
}

function privilegedPod(config: PodConfig): void {
  config.linux.securityContext.privileged = true;
  config.linux.securityContext.namespaceOptions.pid = NamespaceMode.NODE;
}

function privileged(config: ContainerConfig): void {
  config.linux.securityContext.privileged = true;
  config.linux.securityContext.namespaceOptions.pid = NamespaceMode.NODE;
}
