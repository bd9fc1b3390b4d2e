import type { Justification } from "./justified.ts";

interface Reason {
  readonly why: string;
  readonly case: string | RegExp;
  readonly step: string | RegExp;
  readonly ours: RegExp;
}

const ANY = /^/;

const reasons: readonly Reason[] = [
  {
    why: "Runc's options say how runc is run on the host; nothing of that is there in a virtual machine.",
    case: /^options: |^create: options |^exec: is being started when init ends$|^checkpoint: options /,
    step: ANY,
    ours: ANY,
  },
  {
    why: "All of a machine's processes have one pid on the host, the hypervisor's.",
    case: /^(pids|kill|state|orders): /,
    step: /^pids/,
    ours: /^(1|a process|1 processes)$/,
  },
  {
    why: "What the host sees of the process is the hypervisor's.",
    case: "process: what a container's init has from outside",
    step: /^(status|oom_score_adj|limits|exec)$/,
    ours: ANY,
  },
  {
    why: "The figures are those of the guest's cgroup, which is v2.",
    case: /^stats: /,
    step: ANY,
    ours: ANY,
  },
  {
    why: "The limits are the guest's; the host's cgroup is the machine's, and stays.",
    case: "update: every kind of resource",
    step: ANY,
    ours: ANY,
  },
  {
    why: "cgroup v2 takes a limit below what is in use, and makes room by the OOM killer.",
    case: "update: resources that cannot be had",
    step: ANY,
    ours: /^ok|^0$|oom\(\)/,
  },
  {
    why: "crun, the OCI runtime in the guest, reads a limit that is text as a number, or as none.",
    case: "update: with a limit that is text",
    step: "update",
    ours: /^ok/,
  },
  {
    why: "crun takes a working directory that is relative as one below the root.",
    case: "create: a relative working directory",
    step: ANY,
    ours: ANY,
  },
  {
    why: "Hooks are programs of the host, which sees no container here; the log says that they were left out.",
    case: "create: a hook that fails",
    step: ANY,
    ours: ANY,
  },
  {
    why: "A spec without a network namespace asks for the host's, which a machine cannot have.",
    case: "create: a spec that is an empty object",
    step: "create",
    ours: /^FAILED_PRECONDITION/,
  },
  {
    why: "The root comes by the machine's share, a file system with flags of its own; it cannot be written to all the same.",
    case: /^rootfs: /,
    step: "output",
    // What the host's file system adds to a read-only mount's flags (errors=remount-ro) is not there either.
    ours: /relatime|^ro\s*$/,
  },
  {
    why: "Resume and the process that it lets go on do not wait for each other: on the host a shell is the faster, in an emulated machine the answer is.",
    case: "orders: an execs' process goes on while paused, and ends when resumed",
    step: "events",
    ours: /resumed\(\) ; exit\(id=e1 pid=a process exitStatus=4 exitedAt=set\) ; exit\(id=ID /,
  },
  {
    why: "The machine's processes would have to be checkpointed with it.",
    case: /^checkpoint: /,
    step: ANY,
    ours: ANY,
  },
];

/** Differences that come of a virtual machine around each container, and of crun in it. */
export const machineJustifications: readonly Justification[] = reasons;
