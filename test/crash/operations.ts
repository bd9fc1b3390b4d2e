import type { Pod } from "@kuasar/install/pod";
import { waitUntil } from "@kuasar/install/wait-until";
import { runtime } from "@kuasar/proto/cri";
import { exitCodeOf } from "../integration/container-end.ts";
import type { CrashLab } from "./crash-lab.ts";
import { CODE_OF_SAYS } from "./subject.ts";

/** What an operation is done to. */
export interface Scene {
  readonly pod?: Pod;
  readonly containerId?: string;
}

/** Something that a client asks of containerd, in the middle of which a process is struck. */
export interface Operation {
  readonly name: string;
  /** Makes what the operation needs to be there. */
  prepare(crash: CrashLab): Promise<Scene>;
  /** May fail when somebody is struck, and says something false never. */
  run(crash: CrashLab, scene: Scene): Promise<void>;
}

const nothing = async (): Promise<Scene> => ({});

const withPod = async ({ lab, network }: CrashLab): Promise<Scene> => ({ pod: await lab.runPod({ network }) });

const withContainer = async ({ lab, network, subject }: CrashLab): Promise<Scene> => {
  const pod = await lab.runPod({ network });
  return { pod, containerId: await pod.start(subject.stays) };
};

const withHeedingContainer = async (crash: CrashLab): Promise<Scene> => {
  const scene = await withContainer(crash);
  const { heeds } = crash.subject;
  if (heeds) await podOf(scene).exec(containerOf(scene), ...heeds);
  return scene;
};

const withExitedContainer = async ({ lab, network, subject }: CrashLab): Promise<Scene> => {
  const pod = await lab.runPod({ network });
  const containerId = await pod.start(subject.ends);
  await exitCodeOf(pod, containerId);
  return { pod, containerId };
};

function podOf({ pod }: Scene): Pod {
  if (!pod) throw new Error("this operation needs a pod");
  return pod;
}

function containerOf({ containerId }: Scene): string {
  if (!containerId) throw new Error("this operation needs a container");
  return containerId;
}

export const clientOperations: readonly Operation[] = [
  {
    name: "RunPodSandbox",
    prepare: nothing,
    run: async ({ lab }) => void (await lab.runPod({ network: "cni" })),
  },
  {
    name: "StartContainer",
    prepare: withPod,
    run: async ({ subject }, scene) => void (await podOf(scene).start(subject.stays)),
  },
  {
    name: "ExecSync",
    prepare: withContainer,
    async run({ subject: { says, mayRepeat } }, scene) {
      const { stdout, exitCode } = await podOf(scene).exec(containerOf(scene), ...says.command);
      const expected = [says.stdout, ...(mayRepeat ? [says.stdout.repeat(2)] : [])];
      if (exitCode !== CODE_OF_SAYS || !expected.includes(stdout)) {
        throw new WrongAnswer(`exec: ${exitCode} ${JSON.stringify(stdout)}`);
      }
    },
  },
  {
    name: "StopContainer",
    prepare: withHeedingContainer,
    async run({ lab, subject }, scene) {
      const containerId = containerOf(scene);
      await lab.containerd.cri.runtime.stopContainer({ containerId, timeout: 10 });
      const exitCode = await exitCodeOf(podOf(scene), containerId);
      if (exitCode !== subject.stoppedCode) {
        throw new WrongAnswer(`the container ended with ${exitCode}, expected ${subject.stoppedCode}`);
      }
    },
  },
  {
    name: "RemoveContainer",
    prepare: withExitedContainer,
    run: async ({ lab }, scene) =>
      void (await lab.containerd.cri.runtime.removeContainer({ containerId: containerOf(scene) })),
  },
  {
    name: "StopPodSandbox",
    prepare: withContainer,
    run: async (_crash, scene) => await podOf(scene).stop(),
  },
  {
    name: "RemovePodSandbox",
    prepare: withContainer,
    run: async ({ lab }, scene) =>
      void (await lab.containerd.cri.runtime.removePodSandbox({ podSandboxId: podOf(scene).id })),
  },
  {
    name: "ctr run",
    prepare: nothing,
    async run({ lab, subject: { says } }) {
      const args = lab.ctrRunImageArgs(says.image, ["--rm"], "crash", ...says.command);
      const { exitCode, stdout, stderr } = await lab.containerd.ctr(args, { reject: false });
      if (exitCode !== CODE_OF_SAYS || `${stdout}\n` !== says.stdout)
        throw new Error(`ctr run: ${exitCode} ${stdout} ${stderr}`);
    },
  },
];

/** Not asked for by a client: a pod's shim dies, and containerd calls `delete` for each of its bundles. */
export const shimDeath: Operation = {
  name: "ShimDeath",
  prepare: withContainer,
  async run({ lab }, scene) {
    const pod = podOf(scene);
    process.kill(lab.shimOf(pod.id).pid, "SIGKILL");
    await exitCodeOf(pod, containerOf(scene));
    const ended = async () => (await pod.status()).state === runtime.v1.PodSandboxState.SANDBOX_NOTREADY;
    await waitUntil(ended, { what: "containerd to notice that the shim is gone", timeoutMs: 20_000 });
  },
};

/** An answer that no crash excuses. */
export class WrongAnswer extends Error {}
