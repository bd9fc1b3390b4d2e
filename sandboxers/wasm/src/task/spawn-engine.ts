import { posix } from "node:path";
import { hierarchies } from "@kuasar/framework/cgroup/hierarchies";
import { cgroupProcs } from "@kuasar/framework/cgroup/pod-cgroup";
import { failedPrecondition } from "@kuasar/framework/error/sandbox-error";
import { quote } from "@kuasar/framework/identifier/identifier";
import type { Namespace, SpawnRequest, Stdio } from "@kuasar/framework/monitor/monitor";
import type { OciProcess, OciSpec } from "@kuasar/framework/oci/spec";
import { attainableOomScoreAdj } from "@kuasar/framework/pause/oom-score";
import type { PausePlan } from "@kuasar/framework/pause/pause-plan";
import { planFromSpec } from "@kuasar/framework/pause/plan-from-spec";
import { compileSeccomp } from "@kuasar/framework/seccomp/compile-seccomp";
import type { Task } from "@kuasar/framework/task/task";
import type { TaskIo } from "@kuasar/framework/task/task-record";
import type { EngineProgram } from "../engine/engine-program.ts";
import { findInContainer } from "../entry/container-paths.ts";
import type { Entry } from "../entry/entry.ts";
import { deviceFiles } from "../root/device-files.ts";
import {
  containerMounts,
  engineEnvironment,
  engineMounts,
  moduleMount,
  modulePath,
  preopenedFolders,
} from "../root/engine-root.ts";
import type { LoadedModule } from "./load-module.ts";
import { resourceLimits } from "./resource-limits.ts";
import { securityLabels } from "./security-labels.ts";
import { rootOf } from "./wasm-details.ts";

/** All that a process of an engine is made of. */
export interface EngineProcess {
  readonly key: string;
  readonly task: Task;
  readonly spec: OciSpec;
  /** The spec's own, or that of an exec. */
  readonly process: OciProcess;
  readonly io: TaskIo;
  readonly program: EngineProgram;
  readonly entry: Entry;
  readonly module: LoadedModule;
  readonly httpAddress: string;
  /** "" for none of the container's own. */
  readonly cgroup: string;
  /** Whose namespaces to join; undefined for those that the spec asks for. */
  readonly besideInit?: number;
  readonly hold: boolean;
}

/** What the monitor is asked for. FAILED_PRECONDITION for a working directory that is not there. */
export function engineSpawnRequest(engine: EngineProcess): SpawnRequest {
  const { key, task, spec, process, io, program, entry, module, cgroup } = engine;
  const plan = planFromSpec({ ...spec, process }, task.id);
  const cwd = workingDirectory(task, spec, process.cwd ?? "/");
  const command = program.engine.run({
    path: modulePath(entry.module),
    kind: module.kind,
    compiled: module.compiled,
    functionName: entry.functionName,
    args: entry.args,
    env: process.env ?? [],
    folders: preopenedFolders(spec, cwd, rootOf(task, spec)),
    httpAddress: engine.httpAddress,
  });
  const oomScoreAdj = plan.oomScoreAdj;
  return {
    key,
    argv: [program.path, ...command],
    env: engineEnvironment(),
    cwd: "/",
    stdio: stdioOf(io),
    namespaces: engine.besideInit === undefined ? plan.namespaces : besideNamespaces(plan, engine.besideInit),
    uidMappings: plan.uidMappings,
    gidMappings: plan.gidMappings,
    cgroupProcs: cgroup === "" ? [] : cgroupProcs(hierarchies(), cgroup),
    // Whoever joins the pod's host name leaves it as it is.
    hostname: engine.besideInit === undefined && makesUts(plan) ? plan.hostname : "",
    domainname: engine.besideInit === undefined && makesUts(plan) ? plan.domainname : "",
    sysctls: engine.besideInit === undefined ? plan.sysctls : {},
    credentials: {
      uid: plan.uid,
      gid: plan.gid,
      additionalGids: plan.additionalGids,
      // An engine needs none, whatever the spec would leave to a Linux program.
      capabilities: [],
      noNewPrivileges: true,
      limits: resourceLimits(process.rlimits ?? []),
      ...securityLabels(process),
      ...(spec.linux?.seccomp && { seccomp: compileSeccomp(spec.linux.seccomp) }),
    },
    emptyRoot: false,
    ...(oomScoreAdj !== undefined && { oomScoreAdj: attainableOomScoreAdj(oomScoreAdj) }),
    parentDeathSignal: 0,
    root: [
      ...engineMounts(program),
      ...containerMounts(spec, rootOf(task, spec), deviceFiles(spec), program.engine.resolvesNames(module.kind)),
      moduleMount(module.path, entry.module),
    ],
    hold: engine.hold,
  };
}

/** As the container knows it, with all symbolic links followed. */
function workingDirectory(task: Task, spec: OciSpec, cwd: string): string {
  const found = findInContainer(rootOf(task, spec), spec.mounts ?? [], posix.resolve("/", cwd));
  if (found === undefined) {
    throw failedPrecondition(`the working directory ${quote(cwd)} is not there: no such file or directory`);
  }
  return found.inContainer;
}

function makesUts({ namespaces }: PausePlan): boolean {
  return namespaces.some(({ type, path }) => type === "uts" && path === "");
}

/** Those of a running process, but for its mounts, of which every process has its own. */
function besideNamespaces({ namespaces }: PausePlan, pid: number): Namespace[] {
  return namespaces.map(({ type }) => {
    const file = type === "mount" ? "mnt" : type === "network" ? "net" : type;
    return { type, path: type === "mount" ? "" : `/proc/${pid}/ns/${file}` };
  });
}

function stdioOf({ stdin, stdout, stderr, terminal }: TaskIo): Stdio {
  return { stdin, stdout, stderr, terminal, consoleSocket: "", uid: 0, gid: 0 };
}
