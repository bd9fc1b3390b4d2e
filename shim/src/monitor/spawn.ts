import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import type { Credentials, ProcessPlan } from "../child/child-plan.ts";
import { writeKernelFile } from "../platform/files.ts";
import { ChildError, forkChild, forkHeldChild, type HeldChild, NAMESPACE_FLAGS } from "../platform/forked-child.ts";
import { requireProgram } from "./command-path.ts";
import { planRoot, type RootMount, type RootPlan } from "./new-root.ts";
import { ownerOfKey, type ProcessTable } from "./process-table.ts";
import { readOnlyProgram } from "./read-only-program.ts";
import { openStdio, type ProcessStdio, type StdioPaths, spawnedTerminalStdio } from "./stdio.ts";

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
  readonly stdio?: (StdioPaths & { readonly terminal: boolean }) | null | undefined;
  readonly namespaces: readonly Namespace[];
  readonly uidMappings: readonly IdMapping[];
  readonly gidMappings: readonly IdMapping[];
  readonly cgroupProcs: readonly string[];
  readonly hostname: string;
  readonly domainname: string;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly credentials?: (Credentials & { readonly seccomp: Uint8Array }) | null | undefined;
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

/** What the parent has ready for a child. */
interface ChildParts {
  readonly namespaces: NamespacePlan;
  readonly cgroups: CgroupPlan;
  readonly root: RootPlan | undefined;
  readonly stdio: ProcessStdio;
  /** The path, or an open file. */
  readonly program: string | number;
}

async function fork(spec: SpawnSpec, parts: ChildParts): Promise<{ pid: number; held?: HeldChild }> {
  const { namespaces, cgroups, program } = parts;
  const options = { flags: namespaces.flags, cgroup: cgroups.unified, filter: spec.credentials?.seccomp };
  // The child of a new user namespace may go on when its parent has written who it is.
  const gate = namespaces.flags & (NAMESPACE_FLAGS.user as number) ? new Gate() : undefined;
  const plan = planChild(spec, parts, gate);
  const started = (child: number) => gate?.open(child, spec);
  try {
    if (spec.hold) {
      const keep = typeof program === "number" ? [program] : [];
      const held = await forkHeldChild({ ...options, keep, reportsPid: namespaces.joinsPid }, plan, started);
      return { pid: held.pid, held };
    }
    return { pid: await forkChild(options, plan, started) };
  } finally {
    gate?.close();
  }
}

function planChild(
  spec: SpawnSpec,
  { namespaces, cgroups, root, stdio, program }: ChildParts,
  gate?: Gate,
): ProcessPlan {
  const { argv, env, cwd, hostname, domainname, sysctls, oomScoreAdj, parentDeathSignal, emptyRoot } = spec;
  return {
    kind: "process",
    ...{ argv, env, cwd, hostname, domainname, sysctls, oomScoreAdj, parentDeathSignal, program },
    stdio: stdio.child,
    hasTerminal: stdio.terminal !== undefined,
    ownNamespaces: namespaces.flags,
    joinedNamespaces: namespaces.joined,
    gate: gate?.ends,
    cgroupTasks: cgroups.taskFiles,
    credentials: spec.credentials && withoutFilter(spec.credentials),
    root: root?.steps ?? (emptyRoot ? "empty" : undefined),
  };
}

/** Bytes, which go to the child by themselves. */
function withoutFilter({ seccomp: _, ...credentials }: NonNullable<SpawnSpec["credentials"]>): Credentials {
  return credentials;
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
  readonly ends: readonly [read: number, write: number] = sys.pipe();
  private closed = false;

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
