import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import { writeKernelFile } from "../platform/files.ts";
import { ChildError, CLONE_PARENT, forkChild, NAMESPACE_FLAGS, type Report } from "../platform/forked-child.ts";
import { requireProgram } from "./command-path.ts";
import { enterEmptyRoot } from "./empty-root.ts";
import { ownerOfKey, type ProcessTable } from "./process-table.ts";
import { readOnlyProgram } from "./read-only-program.ts";
import { openStdio, type StdioPaths } from "./stdio.ts";

const PR_SET_PDEATHSIG = 1;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_KEEPCAPS = 8;

interface Namespace {
  readonly type: string;
  readonly path: string;
}

interface IdMapping {
  readonly containerId: number;
  readonly hostId: number;
  readonly size: number;
}

/** kuasar.monitor.v1.SpawnRequest. */
export interface SpawnSpec {
  readonly key: string;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly stdio?: StdioPaths | null | undefined;
  readonly namespaces: readonly Namespace[];
  readonly uidMappings: readonly IdMapping[];
  readonly gidMappings: readonly IdMapping[];
  readonly cgroupProcs: readonly string[];
  readonly hostname: string;
  readonly domainname: string;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly credentials?:
    | {
        readonly uid: number;
        readonly gid: number;
        readonly additionalGids: readonly number[];
        readonly capabilities: readonly number[];
        readonly noNewPrivileges: boolean;
      }
    | null
    | undefined;
  readonly emptyRoot: boolean;
  readonly oomScoreAdj?: number | null | undefined;
  readonly parentDeathSignal: number;
}

/** Starts a process that stays; answers with its pid when it has become its program. */
export async function spawnProcess(table: ProcessTable, spec: SpawnSpec): Promise<number> {
  if (table.find(spec.key)) throw new StatusError(Code.ALREADY_EXISTS, `a process with the key ${spec.key} exists`);
  const plan = planNamespaces(spec.namespaces);
  const path = requireProgram(spec.argv, spec.env);
  const program = spec.emptyRoot ? readOnlyProgram(path) : path;
  const cgroups = planCgroups(spec.cgroupProcs);
  const owner = { ...ownerOfKey(spec.key), namespace: table.namespace };
  const stdio = await openStdio(spec.stdio ?? {}, owner).catch((error) => {
    closeCgroups(cgroups);
    throw error;
  });
  // The child of a new user namespace may go on when its parent has written who it is.
  const gate = plan.flags & (NAMESPACE_FLAGS.user as number) ? sys.pipe() : undefined;
  try {
    return await table.keepingOrphans(async () => {
      const pid = await forkChild(
        { flags: plan.flags, cgroup: cgroups.unified },
        (report) => {
          if (gate) waitAtGate(gate);
          become(spec, plan, cgroups, stdio.child, program, report);
        },
        (child) => {
          if (gate) openGate(gate, child, spec);
        },
      );
      table.add(spec.key, pid, stdio);
      stdio.closeChildEnds();
      return pid;
    });
  } catch (error) {
    stdio.close();
    if (error instanceof ChildError) throw new StatusError(Code.FAILED_PRECONDITION, `start ${path}: ${error.message}`);
    throw error;
  } finally {
    closeCgroups(cgroups);
  }
}

interface CgroupPlan {
  /** Files of cgroup v1 that a thread is moved by. */
  readonly taskFiles: readonly string[];
  /** The cgroup v2 folder that the process is born into, as a fd; -1 for none. */
  readonly unified: number;
}

/**
 * A process that moves itself, thread by thread, or is born where it belongs, takes no lock. One whose pid somebody
 * writes to cgroup.procs waits for an RCU grace period: 5 to 15 ms.
 */
function planCgroups(files: readonly string[]): CgroupPlan {
  const taskFiles: string[] = [];
  let unified = -1;
  for (const file of files) {
    const folder = /^(\/.+)\/cgroup\.procs$/.exec(file)?.[1];
    if (!folder || folder.split("/").includes("..")) {
      throw new StatusError(
        Code.INVALID_ARGUMENT,
        `cgroup_procs: expected absolute paths of cgroup.procs, got ${file}`,
      );
    }
    if (sys.stat(`${folder}/tasks`)) taskFiles.push(`${folder}/tasks`);
    else if (unified < 0) unified = sys.open(folder, sys.O_RDONLY | sys.O_DIRECTORY, 0);
    else throw new StatusError(Code.INVALID_ARGUMENT, `cgroup_procs: expected one of cgroup v2 at most, got ${files}`);
  }
  return { taskFiles, unified };
}

function closeCgroups({ unified }: CgroupPlan): void {
  if (unified >= 0) sys.close(unified);
}

interface NamespacePlan {
  /** clone() flags of those that are made. */
  readonly flags: number;
  readonly joined: ReadonlyArray<{ readonly flag: number; readonly path: string }>;
  readonly joinsPid: boolean;
}

function planNamespaces(namespaces: readonly Namespace[]): NamespacePlan {
  let flags = 0;
  const joined: Array<{ flag: number; path: string }> = [];
  for (const { type, path } of namespaces) {
    const flag = NAMESPACE_FLAGS[type];
    if (flag === undefined) {
      const known = Object.keys(NAMESPACE_FLAGS).join(", ");
      throw new StatusError(Code.INVALID_ARGUMENT, `namespaces.type: expected one of ${known}, got ${type}`);
    }
    if (path === "") flags |= flag;
    else joined.push({ flag, path });
  }
  // The user namespace first: it owns the rest.
  joined.sort((a, b) => Number(b.flag === NAMESPACE_FLAGS.user) - Number(a.flag === NAMESPACE_FLAGS.user));
  return { flags, joined, joinsPid: joined.some(({ flag }) => flag === NAMESPACE_FLAGS.pid) };
}

function waitAtGate([read, write]: readonly [number, number]): void {
  sys.close(write);
  const buffer = new ArrayBuffer(1);
  if (sys.read(read, buffer, 0, 1) !== 1) throw new Error("the parent could not set the user namespace up");
}

function openGate([read, write]: readonly [number, number], child: number, spec: SpawnSpec): void {
  const lines = (mappings: readonly IdMapping[]) =>
    mappings.map(({ containerId, hostId, size }) => `${containerId} ${hostId} ${size}\n`).join("");
  sys.close(read);
  try {
    writeKernelFile(`/proc/${child}/uid_map`, lines(spec.uidMappings));
    writeKernelFile(`/proc/${child}/gid_map`, lines(spec.gidMappings));
    sys.write(write, new ArrayBuffer(1), 0, 1);
  } finally {
    // Closed without a byte, it tells the child that this failed.
    sys.close(write);
  }
}

/** In the child, from the fork to the exec. Each step's failure is told with what it was. */
function become(
  spec: SpawnSpec,
  plan: NamespacePlan,
  cgroups: CgroupPlan,
  stdio: readonly [number, number, number],
  program: string | number,
  report: Report,
): never {
  const { credentials } = spec;
  // Written as 0, which is whoever writes it: also from within a new pid namespace.
  for (const file of cgroups.taskFiles) step(`join ${file}`, () => writeKernelFile(file, "0"));
  if (typeof spec.oomScoreAdj === "number") {
    step("oom_score_adj", () => writeKernelFile("/proc/self/oom_score_adj", String(spec.oomScoreAdj)));
  }
  for (const { flag, path } of plan.joined) {
    step(`join namespace ${path}`, () => {
      const fd = sys.open(path, sys.O_RDONLY, 0);
      sys.setns(fd, flag);
      sys.close(fd);
    });
  }
  // A pid namespace that is joined holds only for children.
  if (plan.joinsPid) {
    const pid = step("fork", () => sys.fork(CLONE_PARENT, -1));
    if (pid !== 0) {
      report.pid(pid);
      sys.exit(0);
    }
  }
  step("setsid", () => sys.setsid());
  if (spec.hostname) step("hostname", () => sys.setHostname(spec.hostname));
  if (spec.domainname) step("domainname", () => sys.setDomainname(spec.domainname));
  for (const [name, value] of Object.entries(spec.sysctls)) {
    step(`sysctl ${name}`, () => writeKernelFile(`/proc/sys/${name.replaceAll(".", "/")}`, value));
  }
  if (spec.emptyRoot) step("empty root", () => enterEmptyRoot(Boolean(plan.flags & (NAMESPACE_FLAGS.mount as number))));
  else if (spec.cwd) step(`chdir ${spec.cwd}`, () => sys.chdir(spec.cwd));
  if (credentials) {
    const { uid, gid, additionalGids, capabilities } = credentials;
    step("bounding capabilities", () => sys.limitBounding(capabilities));
    if (capabilities.length > 0) step("keepcaps", () => sys.prctl(PR_SET_KEEPCAPS, 1));
    step(`user ${uid}:${gid}`, () => sys.setUser(uid, gid, additionalGids));
    step("capabilities", () => sys.setCapabilities(capabilities));
    if (credentials.noNewPrivileges) step("no_new_privs", () => sys.prctl(PR_SET_NO_NEW_PRIVS, 1));
  }
  if (spec.parentDeathSignal) step("parent death signal", () => sys.prctl(PR_SET_PDEATHSIG, spec.parentDeathSignal));
  stdio.forEach((fd, index) => void step("stdio", () => sys.dup2(fd, index)));
  return step("exec", () => sys.exec(program, spec.argv, spec.env));
}

function step<T>(name: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new Error(`${name}: ${(error as Error).message}`);
  }
}
