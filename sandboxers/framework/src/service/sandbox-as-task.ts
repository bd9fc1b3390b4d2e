import { cgroupPathsOf, sameCgroups } from "../cgroup/cgroup-paths.ts";
import { cgroupMembers } from "../cgroup/members.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { SandboxRegistry } from "../sandbox/sandbox-registry.ts";
import type { RequestContext } from "./request-context.ts";

/**
 * The pause container's task, in the eyes of a containerd that made one: the sandbox itself, under the sandbox's id.
 * Undefined if the id is not a sandbox's own, or is a task's as well (a container that came without a pod).
 */
export function sandboxAsTask(registry: SandboxRegistry, context: RequestContext, id: string): Sandbox | undefined {
  const sandbox = registry.find(context.namespace, id);
  return sandbox === undefined || sandbox.record.lone || sandbox.tasks.has(id) ? undefined : sandbox;
}

/** The processes in the sandbox's own cgroup; its process alone if it has no cgroup of its own. */
export function sandboxPids({ record: { pid, state } }: Sandbox): number[] {
  if (pid === 0 || (state !== "ready" && state !== "paused")) {
    return [];
  }
  const paths = cgroupPathsOf(pid);
  const own = cgroupPathsOf(process.pid);
  const shared = paths === undefined || paths.common === "/" || (own !== undefined && sameCgroups(paths, own));
  const members = shared ? [] : cgroupMembers(paths);
  return members.includes(pid) ? members : [pid];
}
