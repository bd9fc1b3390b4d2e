import { readFileSync, readlinkSync } from "node:fs";
import type { PodConfig } from "@kuasar/install/pod";
import { runtime } from "@kuasar/proto/cri";
import { assert } from "chai";
import { pidOf } from "../container-end.ts";
import type { Lab } from "../lab.ts";
import type { RuntimeCase } from "../runtime-case.ts";
import { refusal } from "./refusal.ts";
import { withPod } from "./with-pod.ts";

const { NODE, POD, TARGET } = runtime.v1.NamespaceMode;
const HOST_ID = 100_000;
const IDS = 65_536;

type NamespaceOptions = runtime.v1.INamespaceOption;

/** The same namespaces for a pod and for its container, as the kubelet asks for them. */
function sharing(namespaces: NamespaceOptions) {
  const configure = ({ linux }: { linux: { securityContext: { namespaceOptions: NamespaceOptions } } }) =>
    void Object.assign(linux.securityContext.namespaceOptions, namespaces);
  return { configure };
}

export function namespacesTests(lab: () => Lab, { sandboxMode }: RuntimeCase): void {
  it("shares the machine's processes and its ipc with a pod where asked", () => {
    const options = sharing({ pid: NODE, ipc: NODE });
    return withPod(lab(), options, async (pod) => {
      const id = await pod.start(options);
      for (const link of ["/proc/self/ns/pid", "/proc/self/ns/ipc"]) {
        assert.equal((await pod.exec(id, "readlink", link)).stdout.trim(), readlinkSync(link));
      }
      assert.equal((await pod.exec(id, "cat", `/proc/${process.pid}/stat`)).exitCode, 0);
    });
  });

  it("shares one container's processes with another where asked", () =>
    withPod(lab(), {}, async (pod) => {
      const target = await pod.start({ command: ["sleep", "4242"] });
      const debuggers = await pod.start(sharing({ pid: TARGET, targetId: target }));
      const processes = (await pod.exec(debuggers, "ps")).stdout;
      assert.match(processes, /^ +1 .* sleep 4242$/m);
      // The end of the target would be this one's as well, while containerd is about to kill it: it then may find its
      // connection closed, and leaves the pod to whoever stops it again.
      await lab().containerd.cri.runtime.stopContainer({ containerId: debuggers, timeout: 0 });
    }));

  it("sets a pod's sysctls, of its ipc and of its network", () => {
    const sysctls = { "kernel.shm_rmid_forced": "1", "net.ipv4.ip_unprivileged_port_start": "81" };
    const configure = ({ linux }: PodConfig) => void Object.assign(linux, { sysctls });
    return withPod(lab(), { network: "cni", configure }, async (pod) => {
      const files = Object.keys(sysctls).map((name) => `/proc/sys/${name.replaceAll(".", "/")}`);
      const { stdout } = await pod.exec(await pod.start(), "cat", ...files);
      assert.equal(stdout, "1\n81\n");
    });
  });

  for (const [what, network, name] of [
    ["nothing confines to a pod", "cni", "vm.swappiness"],
    ["would be the machine's", "host", "net.ipv4.ip_forward"],
  ] as const) {
    it(`refuses a sysctl that ${what}`, async () => {
      const configure = ({ linux }: PodConfig) => void Object.assign(linux, { sysctls: { [name]: "1" } });
      assert.include(await refusal(lab().runPod({ network, configure })), name);
    });
  }

  it("refuses a host name for a pod on the machine's network", async () => {
    const configure = (config: PodConfig) => void Object.assign(config, { hostname: "other" });
    const error = await refusal(lab().runPod({ network: "host", configure }));
    assert.match(error, /unable to set hostname.* without a private UTS namespace/);
  });

  it("gives a pod its host name, hosts and resolv.conf", () => {
    const dnsConfig = { servers: ["10.10.10.10", "10.10.10.11"], searches: ["example.com"], options: ["ndots:8"] };
    const configure = (config: PodConfig) => void Object.assign(config, { dnsConfig });
    return withPod(lab(), { network: "cni", hostname: "named", configure }, async (pod) => {
      const { stdout } = await pod.exec(await pod.start(), "cat", "/etc/hostname", "/etc/resolv.conf", "/etc/hosts");
      const resolvConf = "search example.com\nnameserver 10.10.10.10\nnameserver 10.10.10.11\noptions ndots:8\n";
      assert.equal(stdout, `named\n${resolvConf}${readFileSync("/etc/hosts", "utf8")}`);
    });
  });

  it("gives a pod's containers one /dev/shm of 64 MiB", () =>
    withPod(lab(), {}, async (pod) => {
      const [first, second] = [await pod.start(), await pod.start()];
      const size = (await pod.exec(first, "sh", "-c", "echo shared > /dev/shm/file; df -k /dev/shm | tail -1")).stdout;
      assert.match(size, /^shm +65536 /);
      assert.equal((await pod.exec(second, "cat", "/dev/shm/file")).stdout, "shared\n");
    }));

  describe("A user namespace", () => {
    const mapping = [{ hostId: HOST_ID, containerId: 0, length: IDS }];
    const options = sharing({ usernsOptions: { mode: POD, uids: mapping, gids: mapping } });
    // containerd 1.7 has made the network namespace and the root file systems as the host's user by then.
    if (sandboxMode === "shim") {
      it("is refused, rather than left out", async () => {
        assert.match(await refusal(lab().runPod({ ...options, network: "cni" })), /asks for a user namespace/);
      });
      return;
    }

    it("is a pod's own where asked, with its containers' files and its network", () =>
      withPod(lab(), { ...options, network: "cni" }, async (pod) => {
        const id = await pod.start({
          configure(config) {
            options.configure(config);
            config.linux.securityContext.capabilities = { addCapabilities: ["NET_ADMIN"] };
          },
        });
        const script = "cat /proc/self/uid_map; stat -c %u:%g /bin; touch /new && ip link set eth0 down";
        const { stdout, stderr } = await pod.exec(id, "sh", "-c", script);
        assert.equal(stdout.replaceAll(/ +/g, " "), ` 0 ${HOST_ID} ${IDS}\n0:0\n`);
        assert.equal(stderr, "");
        const status = readFileSync(`/proc/${await pidOf(lab(), id)}/status`, "utf8");
        assert.match(status, new RegExp(`^Uid:\t${HOST_ID}\t${HOST_ID}\t`, "m"));
      }));
  });
}
