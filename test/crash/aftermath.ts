import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "@kuasar/install/wait-until";
import { runtime } from "@kuasar/proto/cri";
import { assert } from "chai";
import { endContainer, endsOnRequest, exitCodeOf, pidOf } from "../integration/container-end.ts";
import { footprint } from "../integration/footprint.ts";
import type { CrashLab } from "./crash-lab.ts";

/** A container of the bystander that ends while somebody is down who should have heard of it. */
export interface Mayfly {
  /** To be called while nobody looks. */
  end(): Promise<void>;
  /** Its exit code is known all the same; it goes. */
  assertRemembered(): Promise<void>;
}

const ENDED_WITH = 7;
const PATIENCE_MS = 30_000;
/** A shim without a task looks for its bundle every five seconds; a sandboxer gives orphans ten. */
const SETTLE_MS = 20_000;

export async function startMayfly(crash: CrashLab): Promise<Mayfly> {
  const { lab, bystander } = crash;
  const { containerId, end } = crash.subject.rootIsHere ? await mayflyHere(crash) : await mayflyInMachine(crash);
  return {
    end,
    async assertRemembered() {
      assert.equal(await exitCodeOf(bystander, containerId), ENDED_WITH, "exit code of a container of the bystander");
      await patiently("the ended container to be removed", () =>
        lab.containerd.cri.runtime.removeContainer({ containerId }),
      );
    },
  };
}

async function mayflyHere({ lab, bystander }: CrashLab) {
  const containerId = await bystander.start({ command: endsOnRequest });
  const pid = await pidOf(lab, containerId);
  return { containerId, end: () => endContainer(pid) };
}

/** Its root is not to be reached from here, but a volume is. */
async function mayflyInMachine({ bystander, scratch }: CrashLab) {
  const volume = mkdtempSync(join(scratch, "volume-"));
  const containerId = await bystander.start({
    command: ["sh", "-c", `while [ ! -e /volume/end ]; do sleep 0.05; done; : > /volume/ended; exit ${ENDED_WITH}`],
    configure: (config) => {
      config.mounts = [{ containerPath: "/volume", hostPath: volume }];
    },
  });
  return {
    containerId,
    async end() {
      writeFileSync(join(volume, "end"), "");
      const ended = () => existsSync(join(volume, "ended"));
      await waitUntil(ended, { what: "a container in a machine to end", timeoutMs: PATIENCE_MS });
    },
  };
}

/** A pod whose shim nobody has struck does not notice: it is ready, and executes commands. */
export async function assertBystanderUnharmed({ bystander, bystanderContainer }: CrashLab): Promise<void> {
  const result = await patiently("a command in the bystander", () =>
    bystander.exec(bystanderContainer, "sh", "-c", "echo here; exit 7"),
  );
  assert.deepEqual(result, { stdout: "here\n", stderr: "", exitCode: 7 });
  assert.equal((await bystander.status()).state, runtime.v1.PodSandboxState.SANDBOX_READY);
}

/** A client removes what it had asked for, again and again until that is done, as the kubelet does. */
export async function removeAllElse({ lab, bystander }: CrashLab): Promise<void> {
  const { cri } = lab.containerd;
  await patiently("pods to be removed", async () => {
    const { items } = await cri.runtime.listPodSandbox({});
    for (const { id: podSandboxId } of items.filter(({ id }) => id !== bystander.id)) {
      await cri.runtime.stopPodSandbox({ podSandboxId });
      await cri.runtime.removePodSandbox({ podSandboxId });
    }
  });
  await patiently("containers of ctr to be removed", async () => {
    const list = async (kind: string) => (await lab.containerd.ctr([kind, "ls", "-q"])).stdout.split("\n");
    for (const id of (await list("task")).filter(Boolean)) await lab.containerd.ctr(["task", "rm", "--force", id]);
    for (const id of (await list("container")).filter(Boolean)) await lab.containerd.ctr(["container", "rm", id]);
  });
}

/** Everything is as it was before the operation began. */
export async function assertNothingElse(crash: CrashLab): Promise<void> {
  let now: readonly string[] = [];
  const same = async () => {
    now = await footprint(crash.lab);
    return now.join("\n") === crash.before.join("\n");
  };
  const patience = { what: "what is left to go", timeoutMs: SETTLE_MS, intervalMs: 100 };
  await waitUntil(same, patience).catch(() => undefined);
  const extra = now.filter((line) => !crash.before.includes(line)).map((line) => `+ ${line}`);
  const missing = crash.before.filter((line) => !now.includes(line)).map((line) => `- ${line}`);
  if (extra.length + missing.length > 0) throw new Error(`left behind: ${[...extra, ...missing].join("\n        ")}`);
}

function patiently<T>(what: string, action: () => Promise<T>): Promise<T> {
  // An answer of nothing is one, too.
  const answered = async () => [await action()] as const;
  return waitUntil(answered, { what, timeoutMs: PATIENCE_MS, intervalMs: 100 }).then(([answer]) => answer);
}
