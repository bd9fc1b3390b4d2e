import { readFileSync } from "node:fs";
import { release } from "node:os";
import type { PodConfig } from "@kuasar/install/pod";
import { waitUntil } from "@kuasar/install/wait-until";
import { assert } from "chai";
import { exitCodeOf } from "./container-end.ts";
import { useLab } from "./lab.ts";
import { vmCases } from "./vm-case.ts";

for (const runtimeCase of vmCases) {
  describe(`A pod in ${runtimeCase.title}`, function () {
    this.timeout(240_000);
    const lab = useLab(runtimeCase);

    afterEach(() => lab().assertNothingLeft());

    it("has a kernel of its own, its pod's address, its files, and the container's exit code", async () => {
      const dnsConfig = { servers: ["10.10.10.10"], searches: ["example.com"], options: ["ndots:8"] };
      const configure = (config: PodConfig) => void Object.assign(config, { dnsConfig });
      const pod = await lab().runPod({ network: "cni", hostname: "in-a-machine", configure });
      const id = await pod.start({ command: ["sh", "-c", "sleep 1000; exit 1"] });
      const { stdout } = await pod.exec(
        id,
        "sh",
        "-c",
        "uname -r; hostname; ip -o -4 address show eth0; cat /etc/hostname",
      );
      const [kernel, hostname, address, file] = stdout.split("\n");
      assert.notEqual(kernel, release());
      assert.equal(hostname, "in-a-machine");
      assert.equal(file, "in-a-machine");
      assert.include(address, `${(await pod.status()).network?.ip}/`);
      const names = await pod.exec(id, "cat", "/etc/resolv.conf", "/etc/hosts");
      const resolvConf = "search example.com\nnameserver 10.10.10.10\noptions ndots:8\n";
      assert.equal(names.stdout, `${resolvConf}${readFileSync("/etc/hosts", "utf8")}`);
      const gateway = await pod.exec(
        id,
        "sh",
        "-c",
        "ping -c 1 -W 5 $(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p')",
      );
      assert.equal(gateway.exitCode, 0, gateway.stdout);
      assert.equal((await pod.exec(id, "sh", "-c", "exit 42")).exitCode, 42);
      await pod.remove();
    });

    it("lives on when its sandboxer is killed, and loses no line of what its container says", async () => {
      const pod = await lab().runPod({ network: "cni" });
      const script = "i=0; while [ $i -lt 20 ]; do i=$((i+1)); echo line $i; sleep 0.1; done; exit 7";
      const id = await pod.start({ name: "talker", command: ["sh", "-c", script] });
      await waitUntil(() => lab().podLog("talker").includes("line 3"), { what: "its first lines", timeoutMs: 60_000 });
      await lab().sandboxer.kill("SIGKILL");
      await lab().sandboxer.start();
      // Each line is a process that an emulated machine has to start.
      assert.equal(await exitCodeOf(pod, id, 90_000), 7);
      const lines = lab().podLog("talker").trim().split("\n");
      assert.deepEqual(
        lines.map((line) => line.split(" ").slice(3).join(" ")),
        Array.from({ length: 20 }, (_, i) => `line ${i + 1}`),
      );
      await pod.remove();
    });
  });
}
