import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import { writeKernelFile } from "../platform/files.ts";
import {
  ChildError,
  CLONE_PARENT,
  forkChild,
  forkHeldChild,
  type HeldChild,
  NAMESPACE_FLAGS,
  type Report,
} from "../platform/forked-child.ts";
import { requireProgram } from "./command-path.ts";
import { enterEmptyRoot } from "./empty-root.ts";
import { enterRoot, planRoot, type RootMount, type RootPlan } from "./new-root.ts";
import { ownerOfKey, type ProcessTable } from "./process-table.ts";
import { readOnlyProgram } from "./read-only-program.ts";
import { openStdio, type ProcessStdio, type StdioPaths, spawnedTerminalStdio } from "./stdio.ts";

const PR_SET_PDEATHSIG = 1;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_KEEPCAPS = 8;
const NO_LIMIT = -1;

interface Namespace {
  readonly type: string;
  readonly path: string;
}

interface IdMapping {
  readonly containerId: number;
  readonly hostId: number;
  readonly size: number;
}

interface ResourceLimit {
  readonly resource: number;
  readonly soft?: number | null | undefined;
  readonly hard?: number | null | undefined;
}

/** kuasar.monitor.v1.SpawnRequest. */
export interface SpawnSpec {
  readonly key: string;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly stdio?: (StdioPaths & { readonly terminal: boolean }) | null | undefined;
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
        readonly seccomp: Uint8Array;
        readonly limits: readonly ResourceLimit[];
        readonly apparmorProfile: string;
        readonly selinuxLabel: string;
      }
    | null
    | undefined;
  readonly emptyRoot: boolean;
  readonly oomScoreAdj?: number | null | undefined;
  readonly parentDeathSignal: number;
  readonly root: readonly RootMount[];
  readonly hold: boolean;
}

/** Starts a process that stays; answers with its pid when it has become its program, or waits to. */
export function spawnProcess(table: ProcessTable, spec: SpawnSpec): Promise<number> {
  return table.starting(spec.key, async () => {
    const namespaces = planNamespaces(spec.namespaces);
    const path = requireProgram(spec.argv, spec.env);
    const program = spec.emptyRoot || spec.root.length > 0 ? readOnlyProgram(path) : path;
    const root = planRoot(spec.root);
    let cgroups: CgroupPlan | undefined;
    try {
      cgroups = planCgroups(spec.cgroupProcs);
      const stdio = await openProcessStdio(table, spec);
      try {
        const { pid, held } = await fork(spec, { namespaces, cgroups, root, stdio, program });
        const process = table.add(spec.key, pid, stdio);
        if (held) process.held = held;
        stdio.closeChildEnds();
        return pid;
      } catch (error) {
        stdio.close();
        throw error instanceof ChildError ? startError(path, error) : error;
      }
    } finally {
      if (cgroups && cgroups.unified >= 0) sys.close(cgroups.unified);
      root?.close();
    }
  });
}

/** Has a process that was spawned with `hold` become its program. */
export async function continueProcess(table: ProcessTable, key: string): Promise<void> {
  const process = table.get(key);
  const { held } = process;
  if (!held) throw new StatusError(Code.FAILED_PRECONDITION, `process ${process.pid} (${key}) is not waiting to start`);
  delete process.held;
  try {
    await held.proceed();
  } catch (error) {
    table.explained(process);
    throw error instanceof ChildError ? startError(key, error) : error;
  }
}

function startError(what: string, error: ChildError): StatusError {
  return new StatusError(Code.FAILED_PRECONDITION, `start ${what}: ${error.message}`);
}

async function openProcessStdio(table: ProcessTable, { key, stdio }: SpawnSpec): Promise<ProcessStdio> {
  const owner = { ...ownerOfKey(key), namespace: table.namespace };
  return stdio?.terminal ? spawnedTerminalStdio(stdio, owner) : openStdio(stdio ?? {}, owner);
}

interface ChildPlan {
  readonly namespaces: NamespacePlan;
  readonly cgroups: CgroupPlan;
  readonly root: RootPlan | undefined;
  readonly stdio: ProcessStdio;
  /** The path, or an open file. */
  readonly program: string | number;
}

const NO_FILTER = new Uint8Array(0);

async function fork(spec: SpawnSpec, plan: ChildPlan): Promise<{ pid: number; held?: HeldChild }> {
  const { namespaces, cgroups, program } = plan;
  const options = { flags: namespaces.flags, cgroup: cgroups.unified };
  // The child of a new user namespace may go on when its parent has written who it is.
  const gate = namespaces.flags & (NAMESPACE_FLAGS.user as number) ? new Gate() : undefined;
  const prepareChild = (report: Report) => {
    gate?.wait();
    prepare(spec, plan, report);
  };
  const become = () => {
    // At the very last: it may forbid what it takes to wait, and to tell of an error.
    const filter = spec.credentials?.seccomp ?? NO_FILTER;
    if (filter.length > 0) step("seccomp", () => sys.setSeccomp(filter.slice().buffer));
    return step("exec", () => sys.exec(program, spec.argv, spec.env));
  };
  const started = (child: number) => gate?.open(child, spec);
  try {
    if (spec.hold) {
      const keep = typeof program === "number" ? [program] : [];
      const held = await forkHeldChild(
        { ...options, keep, reportsPid: namespaces.joinsPid },
        prepareChild,
        become,
        started,
      );
      return { pid: held.pid, held };
    }
    const prepareAndBecome = (report: Report) => {
      prepareChild(report);
      return become();
    };
    return { pid: await forkChild(options, prepareAndBecome, started) };
  } finally {
    gate?.close();
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
  const folders = files.map(folderOfProcs);
  const isUnified = (folder: string) => !sys.stat(`${folder}/tasks`);
  const [unified, ...others] = folders.filter(isUnified);
  if (others.length > 0) {
    throw new StatusError(Code.INVALID_ARGUMENT, `cgroup_procs: expected one of cgroup v2 at most, got ${files}`);
  }
  return {
    taskFiles: folders.filter((folder) => folder !== unified).map((folder) => `${folder}/tasks`),
    unified: unified === undefined ? -1 : sys.open(unified, sys.O_RDONLY | sys.O_DIRECTORY, 0),
  };
}

function folderOfProcs(file: string): string {
  const folder = /^(\/.+)\/cgroup\.procs$/.exec(file)?.[1];
  if (!folder || folder.split("/").includes("..")) {
    throw new StatusError(Code.INVALID_ARGUMENT, `cgroup_procs: expected absolute paths of cgroup.procs, got ${file}`);
  }
  return folder;
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
    const flag = Object.hasOwn(NAMESPACE_FLAGS, type) ? NAMESPACE_FLAGS[type] : undefined;
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

/** What a child waits at until its parent lets it go on. Closed before that, it tells the child that this failed. */
class Gate {
  private readonly ends = sys.pipe();
  private closed = false;

  /** In the child. */
  wait(): void {
    const [read, write] = this.ends;
    sys.close(write);
    if (sys.read(read, new ArrayBuffer(1), 0, 1) !== 1)
      throw new Error("the parent could not set the user namespace up");
  }

  open(child: number, { uidMappings, gidMappings }: SpawnSpec): void {
    const lines = (mappings: readonly IdMapping[]) =>
      mappings.map(({ containerId, hostId, size }) => `${containerId} ${hostId} ${size}\n`).join("");
    try {
      writeKernelFile(`/proc/${child}/uid_map`, lines(uidMappings));
      writeKernelFile(`/proc/${child}/gid_map`, lines(gidMappings));
      sys.write(this.ends[1], new ArrayBuffer(1), 0, 1);
    } finally {
      // Before anybody waits for the child.
      this.close();
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const end of this.ends) sys.close(end);
  }
}

/** In the child, from the fork to the exec. Each step's failure is told with what it was. */
function prepare(spec: SpawnSpec, { namespaces, cgroups, root, stdio }: ChildPlan, report: Report): void {
  const { credentials } = spec;
  // Written as 0, which is whoever writes it: also from within a new pid namespace.
  for (const file of cgroups.taskFiles) step(`join ${file}`, () => writeKernelFile(file, "0"));
  if (typeof spec.oomScoreAdj === "number") {
    step("oom_score_adj", () => writeKernelFile("/proc/self/oom_score_adj", String(spec.oomScoreAdj)));
  }
  for (const { flag, path } of namespaces.joined) {
    step(`join namespace ${path}`, () => {
      const fd = sys.open(path, sys.O_RDONLY, 0);
      sys.setns(fd, flag);
      sys.close(fd);
    });
  }
  // A pid namespace that is joined holds only for children.
  if (namespaces.joinsPid) {
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
  if (credentials) confineAtExec(credentials);
  const ownMounts = Boolean(namespaces.flags & (NAMESPACE_FLAGS.mount as number));
  if (root) step("root", () => enterRoot(root, ownMounts));
  else if (spec.emptyRoot) step("empty root", () => enterEmptyRoot(ownMounts));
  if (spec.cwd && !spec.emptyRoot) step(`chdir ${spec.cwd}`, () => sys.chdir(spec.cwd));
  if (credentials) {
    const { uid, gid, additionalGids, capabilities, limits } = credentials;
    for (const { resource, soft, hard } of limits) {
      step(`limit ${resource}`, () => sys.setLimit(resource, soft ?? NO_LIMIT, hard ?? NO_LIMIT));
    }
    step("bounding capabilities", () => sys.limitBounding(capabilities));
    if (capabilities.length > 0) step("keepcaps", () => sys.prctl(PR_SET_KEEPCAPS, 1));
    step(`user ${uid}:${gid}`, () => sys.setUser(uid, gid, additionalGids));
    step("capabilities", () => sys.setCapabilities(capabilities));
    if (credentials.noNewPrivileges) step("no_new_privs", () => sys.prctl(PR_SET_NO_NEW_PRIVS, 1));
  }
  if (spec.parentDeathSignal) step("parent death signal", () => sys.prctl(PR_SET_PDEATHSIG, spec.parentDeathSignal));
  stdio.child.forEach((fd, index) => void step("stdio", () => sys.dup2(fd, index)));
  if (stdio.terminal) step("terminal", () => sys.takeTerminal(0));
}

/** While /proc is still the host's. Where AppArmor has a file of its own (Linux 5.8), the other may be another module's. */
function confineAtExec({ apparmorProfile, selinuxLabel }: NonNullable<SpawnSpec["credentials"]>): void {
  const attributes = "/proc/self/attr";
  if (apparmorProfile) {
    const own = sys.stat(`${attributes}/apparmor`) ? `${attributes}/apparmor/exec` : `${attributes}/exec`;
    step(`AppArmor profile ${apparmorProfile}`, () => writeKernelFile(own, `exec ${apparmorProfile}`));
  }
  if (selinuxLabel) step(`SELinux label ${selinuxLabel}`, () => writeKernelFile(`${attributes}/exec`, selinuxLabel));
}

function step<T>(name: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new Error(`${name}: ${(error as Error).message}`);
  }
}
