import type { RuntimeCase } from "../integration/runtime-case.ts";
import type { Finding } from "./finding.ts";
import type { PodModel } from "./pod-model.ts";

/** What containerd itself does, whatever shim is below it. Each entry says how that is known. */
interface Known {
  readonly kind: Finding["kind"];
  readonly text: RegExp;
  /** A line of the pod's story that must be there for it. */
  readonly after?: RegExp;
  /** It happens with sandbox_mode = "shim" only. */
  readonly inShimMode?: true;
  readonly why: string;
}

/**
 * With sandbox_mode = "shim" a restarted containerd takes a sandbox whose shim it does not find for one in an unknown
 * state, and from then on fails to stop it, as it has no shim: the pod can never be removed (pkg/cri/sbserver/restart.go,
 * recover; plugins/sandbox/controller.go, Status and Stop). So it is not killed there while a shim is being started, is
 * being shut down, or has been killed.
 */
export function outlivesContainerd({ phase, shimKilled }: PodModel, { sandboxMode }: RuntimeCase): boolean {
  return sandboxMode !== "shim" || (phase === "living" && !shimKilled);
}

/** Nor does it notice the end of such a sandbox's shim once it has been restarted: it waits for new sandboxes only. */
export function outlivesShim({ sawContainerdKilled }: PodModel, { sandboxMode }: RuntimeCase): boolean {
  return sandboxMode !== "shim" || !sawContainerdKilled;
}

const known: readonly Known[] = [
  {
    kind: "wrong exit code",
    text: /containerd was killed when it had just taken that$/,
    why:
      "CRI deletes an exited task, and its code with it, before it writes the code down (pkg/cri/sbserver/events.go, " +
      "handleContainerExit): killed in between, it says 255 after its restart. TaskExit had told the right code.",
  },
  {
    kind: "left behind",
    text: /^\+ (CNI address |iptables |link veth|file \/var\/lib\/cni\/results\/|file \/tmp\/[\w/-]+\/cni-data\/)/,
    why:
      "containerd makes a pod's network before it writes the pod down (pkg/cri/sbserver/sandbox_run.go): killed in " +
      "between, it has forgotten it. No shim knows of it yet, and the runc shim's pods leave the same.",
  },
  {
    kind: "left behind",
    text: /^\+ (file|folder) \/tmp\/[\w/-]+\/io\.containerd\.grpc\.v1\.cri\/sandboxes\/\w+(\/(hosts|resolv\.conf|shm|hostname))?$/,
    inShimMode: true,
    why:
      "CreateContainer makes empty folders in place of the files of a pod that has none (pkg/cri/opts, WithMounts), and " +
      "the experimental sandbox server never removes them. The sandboxer does when the container is started; of one that " +
      "never is, it does not hear.",
  },
  {
    kind: "left behind",
    text: /^\+ (snapshot |record of containerd: leases |folder \/tmp\/[\w/-]+\/root\/tmpmounts\/)/,
    why:
      "CreateContainer makes a snapshot under a lease of a day (client.go, WithLease): killed before it has named its " +
      "owner, containerd keeps it until the lease runs out. Neither shim nor sandboxer has to do with snapshots.",
  },
  {
    kind: "left behind",
    text: /^\+ (file|folder|FIFO) \/tmp\/[\w/-]+\/io\.containerd\.runtime\.v2\.task\//,
    after: /FAULT delete command/,
    why:
      "A bundle whose `delete` command was killed stays until containerd is started again, which then calls it again " +
      "(runtime/v2/binary.go, Delete, which gives up before it removes the bundle).",
  },
  {
    kind: "left behind",
    text: /^\+ (file|folder|FIFO) \/tmp\/[\w/-]+\/io\.containerd\.runtime\.v2\.task\//,
    after: /FAULT shim/,
    inShimMode: true,
    why:
      "A task whose Create fails is taken off containerd's list first, and its bundle goes with its Delete (runtime/v2/" +
      "manager.go, Create): with the shim killed Delete fails, too, and what cleans up after dead shims finds no task any more.",
  },
  {
    kind: "left behind",
    text: /^\+ socket (without a listener )?\/run\/containerd\/s\//,
    after: /FAULT start command/,
    why:
      "Of a shim that is killed before containerd has connected to it the socket stays: containerd does not call `delete` " +
      "for a failed start (runtime/v2/binary.go, Start), so nobody is told.",
  },
];

/** @returns the reason why such a finding is none, if there is one */
export function knownOf({ sandboxMode }: RuntimeCase, { kind, text, history }: Finding): string | undefined {
  const fits = (entry: Known) =>
    entry.kind === kind &&
    entry.text.test(text) &&
    (!entry.inShimMode || sandboxMode === "shim") &&
    (entry.after === undefined || history.some((line) => entry.after?.test(line)));
  return known.find(fits)?.why;
}
