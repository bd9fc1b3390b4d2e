import { ChildError, CLONE_PARENT, type Report } from "../child-terms.ts";
import { becomeProgram, startChild } from "./child.ts";

export { ChildError, CLONE_PARENT, NAMESPACE_FLAGS, type Report } from "../child-terms.ts";

/**
 * As platform/forked-child.ts has it. What the child does is decided here, in this process, and done there, call by
 * call; `started` comes before all of it.
 */
export async function forkChild(
  { flags = 0, cgroup = -1 }: { readonly flags?: number; readonly cgroup?: number },
  become: (report: Report) => never,
  started: (pid: number) => void = () => {},
): Promise<number> {
  const child = startChild();
  try {
    if (flags !== 0 || cgroup >= 0) child.fork(flags | CLONE_PARENT, cgroup);
    started(child.pid);
  } catch (error) {
    child.close();
    throw new ChildError((error as Error).message);
  }
  try {
    // The child's pid is known without its word.
    return becomeProgram(child, () => become({ pid: () => {} }));
  } catch (error) {
    throw new ChildError((error as Error).message);
  }
}
