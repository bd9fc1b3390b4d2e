import { removeAllElse } from "../aftermath.ts";
import type { CrashPoint } from "../crash-point.ts";
import type { Part } from "../part.ts";
import type { RuntimeCommand } from "../traced-runtime.ts";

/** runc's command in the midst of which an operation is struck. */
const commands: Readonly<Record<string, RuntimeCommand>> = {
  StartContainer: "create",
  "ctr run": "create",
  ExecSync: "exec",
};

/** What happens to that command, as shell text. The process that hangs names the lab, so that it is found if it stays. */
const blows: Readonly<Record<string, (lab: string) => string>> = {
  "killed before": () => "kill -9 $$",
  "killed early": () => '$runc "$@" & sleep 0.005; kill -9 $! $$',
  "killed midway": () => '$runc "$@" & sleep 0.015; kill -9 $! $$',
  "killed late": () => '$runc "$@" & sleep 0.03; kill -9 $! $$',
  "killed after": () => '$runc "$@"; kill -9 $$',
  "hangs before": (lab) => `exec tail -f ${lab}/sandboxer.log`,
  "hangs after": (lab) => `$runc "$@"; exec tail -f ${lab}/sandboxer.log`,
};

const hangs = ({ syscall }: CrashPoint) => syscall.startsWith("hangs");

/** The OCI runtime is killed, or hangs, in a command of the operation's. */
export const runtime: Part = {
  name: "runtime",
  takesPartIn: ({ name }) => Object.hasOwn(commands, name),

  points({ name }) {
    const all = Object.keys(blows).map((syscall) => ({ syscall, occurrence: 1, text: `runc ${commands[name]}` }));
    // ctr waits for ever, and nobody else can end what it waits for.
    return all.filter((point) => name !== "ctr run" || !hangs(point));
  },

  async arm(crash, operation, _scene, point) {
    const command = commands[operation.name];
    if (command === undefined || point === undefined) throw new Error(`runc has no part in ${operation.name}`);
    crash.runtime.arm(command, blows[point.syscall]?.(crash.lab.directory) ?? "");
    return {
      trace: "",
      struck: () => crash.runtime.taken(command),
      pid: () => undefined,
      disarm: async () => crash.runtime.disarm(),
    };
  },

  /** Nobody waits for a runtime that hangs: the pod is removed while it does. */
  async strike(crash, _armed, point) {
    if (hangs(point)) await removeAllElse(crash);
  },
};
