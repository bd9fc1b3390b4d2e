import { ChildError, CLONE_PARENT, type HeldChild, type Report } from "../child-terms.ts";
import { becomeProgram, type Child, startChild } from "./child.ts";
import { actingFor } from "./kernel.ts";
import * as sys from "./sys-process.ts";

export { ChildError, CLONE_PARENT, type HeldChild, NAMESPACE_FLAGS, type Report } from "../child-terms.ts";

export interface ForkOptions {
  readonly flags?: number;
  readonly cgroup?: number;
}

function start({ flags = 0, cgroup = -1 }: ForkOptions, started: (pid: number) => void): Child {
  const child = startChild();
  try {
    if (flags !== 0 || cgroup >= 0) child.fork(flags | CLONE_PARENT, cgroup);
    started(child.pid);
    return child;
  } catch (error) {
    child.close();
    throw new ChildError((error as Error).message);
  }
}

/** The child's pid is known without its word. */
const silent: Report = { pid: () => {} };

/**
 * As platform/forked-child.ts has it. What the child does is decided here, in this process, and done there, call by
 * call; `started` comes before all of it.
 */
export async function forkChild(
  options: ForkOptions,
  become: (report: Report) => never,
  started: (pid: number) => void = () => {},
): Promise<number> {
  const child = start(options, started);
  try {
    return becomeProgram(child, () => become(silent));
  } catch (error) {
    throw new ChildError((error as Error).message);
  }
}

export async function forkHeldChild(
  options: ForkOptions & { readonly keep: readonly number[]; readonly reportsPid: boolean },
  prepare: (report: Report) => void,
  become: () => never,
  started: (pid: number) => void = () => {},
): Promise<HeldChild> {
  const child = start(options, started);
  try {
    actingFor(child, () => {
      prepare(silent);
      sys.keepOnly(options.keep);
    });
  } catch (error) {
    child.close();
    throw new ChildError((error as Error).message);
  }
  return {
    // After a fork within prepare it is another.
    pid: child.pid,
    async proceed() {
      try {
        becomeProgram(child, become);
      } catch (error) {
        throw new ChildError((error as Error).message);
      }
    },
  };
}
