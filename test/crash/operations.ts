import type { Pod } from "@kuasar/install/pod";
import { waitUntil } from "@kuasar/install/wait-until";
import { runtime } from "@kuasar/proto/cri";
import { exitCodeOf } from "../integration/container-end.ts";
import type { CrashLab } from "./crash-lab.ts";

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

const withPod = async ({ lab }: CrashLab): Promise<Scene> => ({ pod: await lab.runPod() });

const withContainer = async ({ lab }: CrashLab): Promise<Scene> => {
  const pod = await lab.runPod();
  return { pod, containerId: await pod.start() };
};

const withExitedContainer = async ({ lab }: CrashLab): Promise<Scene> => {
  const pod = await lab.runPod();
  const containerId = await pod.start({ command: ["true"] });
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
    run: async (_crash, scene) => void (await podOf(scene).start()),
  },
  {
    name: "ExecSync",
    prepare: withContainer,
    async run(_crash, scene) {
      const { stdout, exitCode } = await podOf(scene).exec(containerOf(scene), "sh", "-c", "echo out; exit 3");
      if (exitCode !== 3 || stdout !== "out\n") throw new WrongAnswer(`exec: ${exitCode} ${JSON.stringify(stdout)}`);
    },
  },
  {
    name: "StopContainer",
    prepare: withContainer,
    async run({ lab }, scene) {
      const containerId = containerOf(scene);
      await lab.containerd.cri.runtime.stopContainer({ containerId, timeout: 10 });
      const exitCode = await exitCodeOf(podOf(scene), containerId);
      if (exitCode !== 0) throw new WrongAnswer(`the container ended with ${exitCode}, its trap says 0`);
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
    async run({ lab }) {
      const args = lab.ctrRunArgs(["--rm"], "crash", "sh", "-c", "echo out; exit 3");
      const { exitCode, stdout, stderr } = await lab.containerd.ctr(args, { reject: false });
      if (exitCode !== 3 || stdout !== "out") throw new Error(`ctr run: ${exitCode} ${stdout} ${stderr}`);
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
