/** A difference that is meant. It covers one step of one case, and only the results that it names. */
export interface Justification {
  readonly case: string | RegExp;
  readonly step: string | RegExp;
  /** In our result, as the report has it. */
  readonly ours: RegExp;
  readonly why: string;
  /** The runc shim does otherwise in some runs only. */
  readonly byChance?: boolean;
}

interface Reason {
  readonly why: string;
  readonly byChance?: boolean;
  readonly ours: RegExp;
  /** Steps by case. */
  readonly where: Readonly<Record<string, readonly string[]>>;
}

const reasons: readonly Reason[] = [
  {
    why: "A bad request is answered as one: INVALID_ARGUMENT, with what was expected, where the runc shim says UNKNOWN.",
    ours: /^INVALID_ARGUMENT/,
    where: {
      "kill: signal 0 and signals that are none": ["kill 65", "kill 100", "kill 4000000000"],
      "exec: a process that is no JSON": ["exec"],
      "exec: a process that is an array": ["exec"],
      "update: with no JSON": ["update"],
      "create: a log URI of an unknown scheme": ["create"],
      "create: options of an unknown type": ["create"],
      "rootfs: an overlay with more options than a page holds, whatever is done": ["create"],
      "terminal: a resize without one, and one that is too large": ["resize 100000 x 100000"],
    },
  },
  {
    why: "A rootfs that cannot be mounted is the caller's to mend: FAILED_PRECONDITION, where the runc shim says UNKNOWN.",
    ours: /^FAILED_PRECONDITION/,
    where: {
      "create: a rootfs mount whose source is not there": ["create"],
      "create: a rootfs mount of a type that is not there": ["create"],
      "rootfs: the second mount fails, and the first is undone": ["create"],
      "rootfs: mounted by a FUSE helper that fails": ["create"],
    },
  },
  {
    why: "A log driver is let read to its end, where the runc shim ends it by a signal.",
    ours: /over/,
    where: { "log URI: a program, with arguments": ["end"] },
  },
  {
    why: "The runc shim breaks down at such a request, and its container with it; ours refuses it and goes on.",
    ours: /^(INVALID_ARGUMENT|NOT_FOUND|RUNNING)/,
    where: {
      "exec: a process that is not there": ["exec", "start [e1]", "state"],
      "update: with nothing": ["update", "state"],
    },
  },
  {
    why: "A restarted containerd takes a task without processes for a leaked one and deletes it: one that has exited keeps its pid.",
    ours: /^(1|1 processes|init)$/,
    where: {
      "kill: children in the machine's pid namespace end with init": ["pids"],
      "state: after the exit the task keeps its pid": ["pids"],
      "pids: of a running task, of a created one, after the exit": ["pids after the exit"],
    },
  },
  {
    why: "A criu that does not work on this kernel is FAILED_PRECONDITION, with what it complains of.",
    byChance: true,
    ours: /^FAILED_PRECONDITION.*criu/,
    where: {
      "checkpoint: of a running task, which goes on": ["checkpoint"],
      "checkpoint: of a paused task": ["checkpoint"],
      "checkpoint: the task ends, and goes on from there": ["checkpoint"],
      "checkpoint: the task ends, and goes on from there, on a terminal": ["checkpoint"],
      "checkpoint: options with a folder for criu's work": ["checkpoint"],
    },
  },
  {
    why: "The runtime v2 contract has an event of a checkpoint, which the runc shim does not publish.",
    ours: /checkpointed\(checkpoint=CHECKPOINT\)/,
    where: {
      "checkpoint: of a running task, which goes on": ["events"],
      "checkpoint: of a paused task": ["events"],
      "checkpoint: the task ends, and goes on from there": ["events"],
      "checkpoint: the task ends, and goes on from there, on a terminal": ["events"],
      "checkpoint: options with a folder for criu's work": ["events"],
    },
    byChance: true,
  },
  {
    why: "What the machine lacks is FAILED_PRECONDITION, and the text says which mount it is about.",
    ours: /^FAILED_PRECONDITION.*no such/,
    where: {
      "create: a rootfs mount whose source is not there": ["create"],
      "create: a rootfs mount of a type that is not there": ["create"],
    },
  },
  {
    why: "Of two Deletes at once the runc shim answers none where its container's bundle is gone too soon for it.",
    byChance: true,
    ours: /^true$|exit\(id=ID pid=init exitStatus=6 exitedAt=set\) ; delete\(pid=init exitStatus=6 exitedAt=set\)$|^nothing$/,
    where: { "delete: twice at once": ["at least one is answered", "events", "left behind"] },
  },
  {
    why: "A terminal that nobody watches is one all the same; the runc shim makes the container and fails afterwards.",
    ours: /^ok, with a pid$|io=terminal/,
    where: { "create: a terminal without streams": ["create", "events"] },
  },
  {
    why: "A process that never ran has not succeeded: 255, where the runc shim says 0.",
    ours: /^exit 255 at zero$/,
    where: {
      "exec: a program that is not there": ["wait [e1]"],
      "exec: a program that is not in the path": ["wait [e1]"],
      "exec: a program that may not be executed": ["wait [e1]"],
      "exec: no arguments": ["wait [e1]"],
      "exec: a working directory that is not there": ["wait [e1]"],
      "exec: waited for before a start that fails": ["wait [e1]"],
    },
  },
  {
    why: "Deleting a created container kills it: its exit is known, and comes before its deletion.",
    ours: /^ok, id "", (init|a process), exit 137, at set$|exit\(id=ID pid=(init|a process) exitStatus=137 exitedAt=set\) ; delete\(/,
    where: { "delete: a task that was never started": ["delete", "events"] },
  },
  {
    why: "An exit is told once; the runc shim tells it again when a second Start has failed.",
    ours: /^(?!.*exit\(id=(\w+) .*exit\(id=\1 ).*exit\(id=ID /,
    where: {
      "start: twice at once": ["events"],
      "exec: started twice, and after its exit": ["events"],
    },
  },
  {
    why: "The runc shim breaks down when an exec whose start has failed is started again; ours starts it.",
    ours: /^ok, (e1|a process)$|exit 4 |exitStatus=4 /,
    where: {
      "exec: started again after a start that failed": ["start again", "wait [e1]", "state [e1]", "events"],
    },
  },
];

export const justifications: readonly Justification[] = reasons.flatMap(({ why, byChance = false, ours, where }) =>
  Object.entries(where).flatMap(([name, steps]) => steps.map((step) => ({ case: name, step, ours, why, byChance }))),
);
