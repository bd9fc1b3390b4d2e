import { waitUntil } from "@kuasar/install/wait-until";
import { assert } from "chai";
import { exitCodeOf } from "../container-end.ts";
import type { Lab } from "../lab.ts";
import { openChannels } from "./channels.ts";
import { openRemoteCommand } from "./remote-command.ts";
import { withPod } from "./with-pod.ts";

const DATA = 0;
const FAILURE = 1;
const ECHO_SERVER = ["sh", "-c", "while :; do nc -l -p 4000 -e cat; done"];

export function streamingTests(lab: () => Lab): void {
  const cri = () => lab().containerd.cri.runtime;
  const all = { stdin: true, stdout: true, stderr: true };

  it("streams a command's input, its output and errors, and gives its exit code", () =>
    withPod(lab(), {}, async (pod) => {
      const containerId = await pod.start();
      const cmd = ["sh", "-c", "read line; echo got $line; echo err >&2; exit 3"];
      const command = await openRemoteCommand((await cri().exec({ containerId, cmd, ...all })).url);
      command.write("words\n");
      assert.deepEqual(await command.result(), { stdout: "got words\n", stderr: "err\n", exitCode: 3 });
    }));

  it("streams many megabytes of a command's output", () =>
    withPod(lab(), {}, async (pod) => {
      const containerId = await pod.start();
      const cmd = ["dd", "if=/dev/zero", "bs=64k", "count=256"];
      const { url } = await cri().exec({ containerId, cmd, stdout: true });
      const { stdout, exitCode } = await (await openRemoteCommand(url)).result();
      assert.deepEqual([stdout.length, exitCode], [256 * 65_536, 0]);
    }));

  it("runs a command on a terminal whose size can change", () =>
    withPod(lab(), {}, async (pod) => {
      const containerId = await pod.start();
      const script = 'tty; until [ "$(stty size)" = "40 120" ]; do sleep 0.05; done; echo resized; read line; exit 4';
      const request = { containerId, cmd: ["sh", "-c", script], tty: true, stdin: true, stdout: true };
      const command = await openRemoteCommand((await cri().exec(request)).url);
      await command.expectOutput(/\/dev\/pts\/\d/);
      command.resize(120, 40);
      await command.expectOutput(/resized/);
      command.write("go\n");
      assert.equal((await command.result()).exitCode, 4);
    }));

  it("attaches to a container with a terminal, more than once", () =>
    withPod(lab(), {}, async (pod) => {
      const containerId = await pod.start({
        command: ["sh", "-c", 'while read line; do [ "$line" = end ] && exit 5; echo "got $line"; done'],
        configure: (config) => Object.assign(config, { stdin: true, tty: true }),
      });
      const request = { containerId, stdin: true, stdout: true, tty: true };
      const first = await openRemoteCommand((await cri().attach(request)).url);
      first.write("one\n");
      await first.expectOutput(/got one/);
      await first.close();
      const second = await openRemoteCommand((await cri().attach(request)).url);
      second.write("two\n");
      await second.expectOutput(/got two/);
      second.write("end\n");
      assert.equal(await exitCodeOf(pod, containerId), 5);
    }));

  it("closes a container's input after the first client where it is to be open once", () =>
    withPod(lab(), {}, async (pod) => {
      const containerId = await pod.start({
        name: "once",
        command: ["sh", "-c", "cat; exit 6"],
        configure: (config) => Object.assign(config, { stdin: true, stdinOnce: true }),
      });
      const client = await openRemoteCommand((await cri().attach({ containerId, ...all })).url);
      client.write("some input\n");
      await client.expectOutput(/some input/);
      await client.close();
      assert.equal(await exitCodeOf(pod, containerId), 6);
      assert.match(lab().podLog("once"), /stdout F some input\n$/);
    }));

  for (const network of ["cni", "host"] as const) {
    it(`forwards a port of a pod with ${network === "cni" ? "a network of its own" : "the machine's network"}`, () =>
      withPod(lab(), { network }, async (pod) => {
        const containerId = await pod.start({ command: ECHO_SERVER });
        const listening = async () => (await pod.exec(containerId, "netstat", "-ltn")).stdout.includes(":4000 ");
        await waitUntil(listening, { what: "a server in the pod", timeoutMs: 10_000 });
        const { url } = await cri().portForward({ podSandboxId: pod.id, port: [4000] });
        const channels = await openChannels(`${url}?port=4000`);
        channels.send(DATA, "to and fro\n");
        await channels.expect(DATA, /to and fro\n$/);
        channels.close();
      }));
  }

  it("says so where nobody listens at a forwarded port", () =>
    withPod(lab(), { network: "cni" }, async (pod) => {
      const { url } = await cri().portForward({ podSandboxId: pod.id, port: [4001] });
      const channels = await openChannels(`${url}?port=4001`);
      await channels.expect(FAILURE, /connection refused/);
      channels.close();
    }));
}
