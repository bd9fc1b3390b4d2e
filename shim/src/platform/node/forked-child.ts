import { childCode } from "../../child/child-code.ts";
import type { ChildPlan } from "../../child/child-plan.ts";
import {
  type ChildCode,
  ChildError,
  CLONE_PARENT,
  type ForkOptions,
  type HeldChild,
  type HeldForkOptions,
  type Report,
} from "../child-terms.ts";
import { becomeProgram, type Child, startChild } from "./child.ts";
import { actingFor } from "./kernel.ts";
import * as sys from "./sys-process.ts";

export { ChildError, type HeldChild, NAMESPACE_FLAGS } from "../child-terms.ts";

/** As platform/forked-child.ts has it. */
export function forkChild(options: ForkOptions, plan: ChildPlan, started?: (pid: number) => void): Promise<number> {
  return forkByCode(childCode, options, plan, started);
}

export function forkHeldChild(
  options: HeldForkOptions,
  plan: ChildPlan,
  started?: (pid: number) => void,
): Promise<HeldChild> {
  return forkHeldByCode(childCode, options, plan, started);
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

const filterOf = ({ filter = new Uint8Array(0) }: ForkOptions) => filter.slice().buffer;

/**
 * What the child does is decided here, in this process, and done there, call by call; `started` comes before all of it.
 */
export async function forkByCode<Plan>(
  code: ChildCode<Plan>,
  options: ForkOptions,
  plan: Plan,
  started: (pid: number) => void = () => {},
): Promise<number> {
  const child = start(options, started);
  try {
    return becomeProgram(child, () => {
      code.prepare(plan, silent);
      return code.become(plan, filterOf(options));
    });
  } catch (error) {
    throw new ChildError((error as Error).message);
  }
}

export async function forkHeldByCode<Plan>(
  code: ChildCode<Plan>,
  options: HeldForkOptions,
  plan: Plan,
  started: (pid: number) => void = () => {},
): Promise<HeldChild> {
  const child = start(options, started);
  try {
    actingFor(child, () => {
      code.prepare(plan, silent);
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
        becomeProgram(child, () => code.become(plan, filterOf(options)));
      } catch (error) {
        throw new ChildError((error as Error).message);
      }
    },
  };
}
