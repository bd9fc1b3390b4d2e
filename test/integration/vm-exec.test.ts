import { cacheDirectory } from "@kuasar/install/parts";
import { programPath } from "@kuasar/install/programs";
import { patience, waitUntil } from "@kuasar/install/wait-until";
import { assert } from "chai";
import { execa } from "execa";
import { withPod } from "./cri/with-pod.ts";
import { useLab } from "./lab.ts";
import { debuggable } from "./vm-case.ts";

describe("kuasar exec", function () {
  this.timeout(240_000);
  const lab = useLab(debuggable);

  afterEach(() => lab().assertNothingLeft());

  /** Shares this cache: its busybox is what is brought along where the machine has none. */
  const kuasar = (args: readonly string[], input = "") =>
    execa(programPath("kuasar"), ["exec", "--socket", lab().sandboxer.options.socket, ...args], {
      input,
      reject: false,
      timeout: 120_000 * patience,
      env: { KUASAR_CACHE: cacheDirectory() },
    });

  it("runs commands in a pod's machine, outside its containers, found by name and by the beginning of its id", () =>
    withPod(lab(), { network: "cni", name: "looked-into" }, async (pod) => {
      await pod.start({ name: "neighbour", command: ["sleep", "1000"] });

      const seen = await kuasar(["looked-into", "sh", "-c", "ps; echo to stderr >&2; exit 42"]);
      assert.equal(seen.exitCode, 42, seen.stderr);
      assert.match(seen.stdout, /^ +1 .*vmm-task/m);
      assert.match(seen.stdout, /sleep 1000/);
      assert.equal(seen.stderr, "to stderr");

      const counted = await kuasar([pod.id.slice(0, 12), "wc", "-c"], "x".repeat(1_000_000));
      assert.equal(counted.stdout, "1000000", counted.stderr);

      const terminal = await execa(
        "script",
        ["-qec", `${programPath("kuasar")} exec --socket ${lab().sandboxer.options.socket} looked-into`, "/dev/null"],
        {
          input: "tty; stty size; exit 7\n",
          reject: false,
          timeout: 120_000 * patience,
          env: { KUASAR_CACHE: cacheDirectory() },
        },
      );
      assert.match(terminal.stdout, /\/dev\/pts\/\d/);
      assert.equal(terminal.exitCode, 7, terminal.stdout);

      const gone = await kuasar(["no-such-pod", "true"]);
      assert.match(gone.stderr, /there is no pod whose id begins with no-such-pod/);
      assert.equal(gone.exitCode, 1);
    }));

  it("ends what it runs when it is killed itself, and what a killed sandboxer has left when the next one comes", () =>
    withPod(lab(), { network: "cni", name: "looked-into" }, async (pod) => {
      const running = async (text: string) => (await kuasar(["looked-into", "ps"])).stdout.includes(text);
      const first = kuasar(["looked-into", "sleep", "4242"]);
      await waitUntil(() => running("sleep 4242"), { what: "the command in the machine", timeoutMs: 60_000 });
      first.kill("SIGKILL");
      await first;
      await waitUntil(async () => !(await running("sleep 4242")), { what: "its end", timeoutMs: 60_000 });

      const second = kuasar(["looked-into", "sleep", "4343"]);
      await waitUntil(() => running("sleep 4343"), { what: "the next command in the machine", timeoutMs: 60_000 });
      await lab().sandboxer.kill("SIGKILL");
      assert.equal((await second).exitCode, 1);
      await lab().sandboxer.start();
      assert.isFalse(await running("sleep 4343"));
      assert.equal((await kuasar([pod.id, "true"])).exitCode, 0);
    }));

  it("shows that a container is removed, whatever an exec or a removal that was cut off has left of it", () =>
    withPod(lab(), { network: "cni", name: "looked-into" }, async (pod) => {
      const sleeping = { command: ["sleep", "1000"] };
      const [first, second] = [
        await pod.start({ name: "first", ...sleeping }),
        await pod.start({ name: "second", ...sleeping }),
      ];
      const script = `mkdir /run/kuasar/bundles/${first}/left; echo {} > /run/kuasar/bundles/${first}/left/exec.json
        rm -r /run/kuasar/runtime/${second}`;
      assert.equal((await kuasar(["looked-into", "sh", "-c", script])).stderr, "");
      for (const containerId of [first, second]) {
        await lab().containerd.cri.runtime.stopContainer({ containerId, timeout: 0 });
        await lab().containerd.cri.runtime.removeContainer({ containerId });
      }
      assert.equal((await kuasar(["looked-into", "sh", "-c", "ls /run/kuasar/bundles"])).stdout, "");
    }));
});
