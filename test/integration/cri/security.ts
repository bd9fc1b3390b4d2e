import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ContainerConfig, Pod } from "@kuasar/install/pod";
import { runtime } from "@kuasar/proto/cri";
import { assert } from "chai";
import type { Lab } from "../lab.ts";
import { withPod } from "./with-pod.ts";

const { Localhost, RuntimeDefault, Unconfined } = runtime.v1.SecurityProfile.ProfileType;
const CAP_CHOWN = 1n << 0n;
const CAP_NET_ADMIN = 1n << 12n;

type SecurityContext = ContainerConfig["linux"]["securityContext"];

/** Starts a container with something of its security context changed. */
function startWith(pod: Pod, change: Partial<SecurityContext>): Promise<string> {
  return pod.start({ configure: ({ linux }) => Object.assign(linux.securityContext, change) });
}

/** A line of the /proc/self/status of a command in the container. */
async function processStatus(pod: Pod, containerId: string, name: string): Promise<string> {
  const { stdout } = await pod.exec(containerId, "cat", "/proc/self/status");
  return statusLine(stdout, name);
}

function statusLine(status: string, name: string): string {
  const value = new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1];
  if (value === undefined) throw new Error(`expected ${name} in ${status}`);
  return value;
}

const capabilities = async (pod: Pod, id: string) => BigInt(`0x${await processStatus(pod, id, "CapEff")}`);

export function securityTests(lab: () => Lab): void {
  it("runs a container as a user, with a group and with supplemental groups, its commands as well", () => {
    const supplementalGroups = [2000, 3000];
    return withPod(lab(), {}, async (pod) => {
      const id = await startWith(pod, { runAsUser: { value: 1001 }, runAsGroup: { value: 1002 }, supplementalGroups });
      const { stdout } = await pod.exec(id, "sh", "-c", "id -u; id -g; id -G; grep Groups /proc/1/status");
      const [user, group, groups, first] = stdout.trim().split("\n");
      assert.deepEqual([user, group], ["1001", "1002"]);
      assert.sameMembers(groups?.split(" ") ?? [], ["1002", "2000", "3000"]);
      assert.includeMembers(first?.split(/\s+/) ?? [], ["2000", "3000"]);
    });
  });

  it("adds and drops capabilities", () =>
    withPod(lab(), {}, async (pod) => {
      const usual = await capabilities(pod, await pod.start());
      assert.equal(usual & CAP_CHOWN, CAP_CHOWN);
      assert.equal(usual & CAP_NET_ADMIN, 0n);
      const more = await startWith(pod, { capabilities: { addCapabilities: ["NET_ADMIN"] } });
      assert.equal(await capabilities(pod, more), usual | CAP_NET_ADMIN);
      const less = await startWith(pod, { capabilities: { dropCapabilities: ["CHOWN"] } });
      assert.equal(await capabilities(pod, less), usual & ~CAP_CHOWN);
      const none = await startWith(pod, { capabilities: { dropCapabilities: ["ALL"] } });
      assert.equal(await capabilities(pod, none), 0n);
      const one = { addCapabilities: ["CHOWN"], dropCapabilities: ["ALL"] };
      assert.equal(await capabilities(pod, await startWith(pod, { capabilities: one })), CAP_CHOWN);
    }));

  it("gives a user other than root no capabilities, and no ambient ones", () =>
    withPod(lab(), {}, async (pod) => {
      const capabilitiesOf = { addCapabilities: ["NET_ADMIN"], addAmbientCapabilities: ["NET_ADMIN"] };
      const id = await startWith(pod, { runAsUser: { value: 1001 }, capabilities: capabilitiesOf });
      assert.equal(await capabilities(pod, id), 0n);
      assert.equal(await processStatus(pod, id, "CapAmb"), "0000000000000000");
    }));

  it("gives a privileged container all capabilities and the machine's devices", () =>
    withPod(lab(), { configure: (config) => setPrivileged(config.linux.securityContext) }, async (pod) => {
      const id = await startWith(pod, { privileged: true });
      const own = BigInt(`0x${statusLine(readFileSync("/proc/self/status", "utf8"), "CapEff")}`);
      assert.equal(await capabilities(pod, id), own);
      assert.equal((await pod.exec(id, "dd", "if=/dev/kmsg", "count=0")).exitCode, 0);
      assert.equal((await pod.exec(id, "mount", "-t", "tmpfs", "none", "/tmp")).exitCode, 0);
    }));

  it("refuses a privileged container in a pod that is not", () =>
    withPod(lab(), {}, async (pod) => {
      const error = await startWith(pod, { privileged: true }).then(
        () => undefined,
        (reason: Error) => reason,
      );
      assert.match(error?.message ?? "no error", /no privileged container allowed/);
    }));

  it("filters system calls by the profile that was asked for", () =>
    withPod(lab(), {}, async (pod) => {
      const noMkdir = [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" }];
      const file = join(lab().directory, "no-mkdir.json");
      writeFileSync(file, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls: noMkdir }));
      const local = await startWith(pod, { seccomp: { profileType: Localhost, localhostRef: file } });
      assert.match((await pod.exec(local, "mkdir", "/tmp/new")).stderr, /not permitted/);
      const usual = await startWith(pod, { seccomp: { profileType: RuntimeDefault } });
      assert.equal(await processStatus(pod, usual, "Seccomp"), "2");
      assert.equal((await pod.exec(usual, "mkdir", "/tmp/new")).exitCode, 0);
      const open = await startWith(pod, { seccomp: { profileType: Unconfined } });
      const hostFilters = statusLine(readFileSync("/proc/self/status", "utf8"), "Seccomp");
      assert.equal(await processStatus(pod, open, "Seccomp"), hostFilters);
    }));

  it("sets no_new_privs where asked, and only there", () =>
    withPod(lab(), {}, async (pod) => {
      for (const noNewPrivs of [true, false]) {
        const id = await startWith(pod, { noNewPrivs });
        assert.equal(await processStatus(pod, id, "NoNewPrivs"), noNewPrivs ? "1" : "0");
      }
    }));

  it("keeps a container from writing to its root", () =>
    withPod(lab(), {}, async (pod) => {
      const id = await startWith(pod, { readonlyRootfs: true });
      assert.match((await pod.exec(id, "touch", "/new")).stderr, /Read-only file system/);
      assert.equal((await pod.exec(await pod.start(), "touch", "/new")).exitCode, 0);
    }));

  it("masks paths, and makes others read-only", () =>
    withPod(lab(), {}, async (pod) => {
      const id = await startWith(pod, { maskedPaths: ["/etc/group", "/var"], readonlyPaths: ["/tmp"] });
      const { stdout } = await pod.exec(id, "sh", "-c", "cat /etc/group; ls -A /var; touch /tmp/new 2>&1");
      assert.match(stdout, /^touch: \/tmp\/new: Read-only file system\n$/);
    }));

  it("gives a container a device of the machine, with no more rights than asked for", () =>
    withPod(lab(), {}, async (pod) => {
      const device = (permissions: string) => ({ hostPath: "/dev/zero", containerPath: "/dev/nothing", permissions });
      const reader = await pod.start({ configure: (config) => Object.assign(config, { devices: [device("r")] }) });
      const read = ["dd", "if=/dev/nothing", "of=/dev/null", "bs=1", "count=1"];
      assert.equal((await pod.exec(reader, ...read)).exitCode, 0);
      assert.include((await pod.exec(reader, "ls", "-l", "/dev/nothing")).stdout, "1,   5");
    }));
}

function setPrivileged(securityContext: runtime.v1.ILinuxSandboxSecurityContext): void {
  securityContext.privileged = true;
}
