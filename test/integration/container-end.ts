import { writeFileSync } from "node:fs";
import type { Pod } from "@kuasar/install/pod";
import { readProcess } from "@kuasar/install/process-table";
import { waitUntil } from "@kuasar/install/wait-until";
import { runtime } from "@kuasar/proto/cri";
import type { Lab } from "./lab.ts";

const { CONTAINER_EXITED } = runtime.v1.ContainerState;

/** The container's exit code, once containerd has learned of its end. */
export async function exitCodeOf(pod: Pod, containerId: string, timeoutMs = 20_000): Promise<number> {
  const ended = async () => {
    const status = await pod.containerStatus(containerId);
    return status.state === CONTAINER_EXITED ? status : undefined;
  };
  const status = await waitUntil(ended, { what: `container ${containerId} to be seen as exited`, timeoutMs });
  return status.exitCode ?? 0;
}

/** The pid, on the host, of a container's first process. */
export async function pidOf(lab: Lab, containerId: string): Promise<number> {
  const { info } = await lab.containerd.cri.runtime.containerStatus({ containerId, verbose: true });
  const { pid } = JSON.parse(info?.info ?? "{}") as { pid?: number };
  if (!pid) throw new Error(`container ${containerId}: expected a pid in its verbose status`);
  return pid;
}

/** The pid, on the host, of the process that holds a pod's namespaces. */
export async function podPid(lab: Lab, podSandboxId: string): Promise<number> {
  const { info } = await lab.containerd.cri.runtime.podSandboxStatus({ podSandboxId, verbose: true });
  const { pid } = JSON.parse(info?.info ?? "{}") as { pid?: number };
  if (!pid) throw new Error(`pod ${podSandboxId}: expected a pid in its verbose status, got ${info?.info}`);
  return pid;
}

/** A command that ends with 7 as soon as `endContainer` says so, containerd or not. */
export const endsOnRequest: readonly string[] = ["sh", "-c", "while [ ! -e /tmp/end ]; do sleep 0.05; done; exit 7"];

/** Ends a container that runs `endsOnRequest`, by a file put into its root, and waits for its process to be gone. */
export async function endContainer(pid: number): Promise<void> {
  const { startTime } = readProcess(pid) ?? {};
  writeFileSync(`/proc/${pid}/root/tmp/end`, "");
  const gone = () => {
    const process = readProcess(pid);
    return !process || process.startTime !== startTime || process.state === "Z";
  };
  await waitUntil(gone, { what: `process ${pid} to end`, timeoutMs: 10_000 });
}
