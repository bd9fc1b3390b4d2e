import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { mountTable } from "@kuasar/install/mount-table";
import { criNamespace } from "@kuasar/install/private-containerd";
import { hasEnded, processTable } from "@kuasar/install/process-table";
import { waitUntil } from "@kuasar/install/wait-until";
import { execa } from "execa";
import { compiledModules, footprint } from "../integration/footprint.ts";
import type { Lab } from "../integration/lab.ts";
import { privatePlaces } from "./sealed.ts";

/** Shims, namespaces, cgroups and what containerd collects as garbage go a while after the call that ends them. */
const SETTLE_MS = 45_000;
const STILL_MS = 500;

/**
 * Everything that there is in this run's own namespaces, and what containerd's own records say, a line for each thing:
 * what pods must leave as it was.
 */
export async function traces(lab: Lab): Promise<string[]> {
  // One after another: none shall see the programs that the others run.
  const asked = [await ipLinks(), await iptablesRules(), await recordsOf(lab), await footprint(lab)];
  const lines = [
    ...processes(),
    ...namespaces(),
    ...(lab.runtimeCase.sandboxer ? descriptors(lab.sandboxer.pid) : []),
    ...mountTable()
      .filter(({ target }) => privatePlaces.some((place) => target.startsWith(place)))
      .map(({ target, fsType }) => `mount ${fsType} ${target}`),
    ...unixSockets(),
    ...privatePlaces.flatMap((place) => files(place, skipped(lab))),
    ...halfCompiled(lab),
    ...asked.flat(),
  ];
  return [...new Set(lines)].sort();
}

/** The traces once nothing comes or goes any more: a shim ends a moment after its last answer. */
export async function settledTraces(lab: Lab): Promise<string[]> {
  for (let last = await traces(lab); ; ) {
    await sleep(STILL_MS);
    const now = await traces(lab);
    if (now.length === last.length && now.every((line, index) => line === last[index])) return now;
    last = now;
  }
}

/**
 * Waits until everything is as it was, but for what is known to have been left.
 *
 * @returns what still differs after that: "+ ..." came, "- ..." went
 */
export async function difference(lab: Lab, before: readonly string[], known: ReadonlySet<string>): Promise<string[]> {
  let differs: string[] = [];
  const same = async () => {
    const now = await traces(lab);
    differs = [
      ...now.filter((line) => !before.includes(line)).map((line) => `+ ${line}`),
      ...before.filter((line) => !now.includes(line)).map((line) => `- ${line}`),
    ].filter((line) => !known.has(line));
    return differs.length === 0;
  };
  const what = "the pods' traces to go";
  await waitUntil(same, { what, timeoutMs: SETTLE_MS, intervalMs: 200 }).catch(() => undefined);
  return differs;
}

/** Counted, as several may look alike. */
function processes(): string[] {
  const counts = new Map<string, number>();
  for (const { argv, state, pid } of processTable()) {
    const line = state === "Z" ? `zombie ${commandOf(pid)}` : `process ${argv.join(" ")}`;
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  return [...counts].map(([line, count]) => (count > 1 ? `${line} (${count} times)` : line));
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch (error) {
    if (hasEnded(error)) return "?";
    throw error;
  }
}

/** Those that processes are in, or keep by a descriptor or by a mount. */
function namespaces(): string[] {
  const names = new Set<string>();
  for (const { pid } of processTable()) {
    for (const kind of ["ns", "fd"]) {
      for (const target of links(`/proc/${pid}/${kind}`)) if (/^\w+:\[\d+\]$/.test(target)) names.add(target);
    }
  }
  const held = [...names].filter((name) => !/^(pipe|socket):/.test(name)).map((name) => `namespace ${name}`);
  return held;
}

/** What the sandboxer has open, by kind: a file or connection that it forgets adds up over many pods. */
function descriptors(pid: number | undefined): string[] {
  const counts = new Map<string, number>();
  for (const target of pid === undefined ? [] : links(`/proc/${pid}/fd`)) {
    const kind = target.replace(/:?\[\d+\]$/, "");
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts].map(([kind, count]) => `the sandboxer's descriptors: ${kind} (${count} times)`);
}

function links(folder: string): string[] {
  try {
    return readdirSync(folder).flatMap((name) => {
      try {
        return [readlinkSync(join(folder, name))];
      } catch (error) {
        if (hasEnded(error)) return [];
        throw error;
      }
    });
  } catch (error) {
    if (hasEnded(error)) return [];
    throw error;
  }
}

/** Only sockets that have a name and listen. */
function unixSockets(): string[] {
  return readFileSync("/proc/net/unix", "utf8")
    .split("\n")
    .map((line) => line.split(/\s+/))
    .filter((fields) => fields[3] === "00010000" && fields[7])
    .map((fields) => `socket listening at ${fields[7]}`);
}

/** What changes with every pod, and is none of the shim's or the sandboxer's: logs, and containerd's stores. */
function skipped(lab: Lab): string[] {
  const { layout } = lab.containerd;
  return [
    join(lab.directory, "pod-logs"),
    join(layout.root, "io.containerd.snapshotter.v1.overlayfs"),
    join(layout.root, "io.containerd.content.v1.content"),
    ...(lab.sandboxDirectory ? [join(lab.sandboxDirectory, compiledModules)] : []),
    // CNI's record of the last address that it gave.
    join(layout.cniDataDir, lab.containerd.bridge, "last_reserved_ip.0"),
  ];
}

/** Of the wasm sandboxer: what was being compiled. */
function halfCompiled({ sandboxDirectory }: Lab): string[] {
  const folder = sandboxDirectory ? join(sandboxDirectory, compiledModules) : "";
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.filter((name) => name.startsWith(".")).map((name) => `folder ${join(folder, name)}`);
}

/** Everything below a folder, by its type; not what is mounted there, which is a line of its own. */
function files(folder: string, except: readonly string[], device = lstatSync(folder).dev): string[] {
  const lines: string[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (except.includes(path)) continue;
    const type = entry.isFIFO() ? "FIFO" : entry.isSocket() ? "socket" : entry.isDirectory() ? "folder" : "file";
    lines.push(`${type} ${path}`);
    if (entry.isDirectory() && deviceOf(path) === device) lines.push(...files(path, except, device));
  }
  return lines;
}

function deviceOf(path: string): number | undefined {
  try {
    return lstatSync(path).dev;
  } catch (error) {
    if (hasEnded(error)) return undefined;
    throw error;
  }
}

async function ipLinks(): Promise<string[]> {
  const { stdout } = await execa("ip", ["-json", "link", "show"]);
  return (JSON.parse(stdout) as { ifname: string }[]).map(({ ifname }) => `link ${ifname}`);
}

async function iptablesRules(): Promise<string[]> {
  const { stdout } = await execa("iptables-save", []);
  const rules = stdout.split("\n").filter((line) => line.startsWith("-A"));
  return rules.map((line) => `iptables ${line}`);
}

/** containerd's own records of what there is. */
async function recordsOf({ containerd }: Lab): Promise<string[]> {
  const kinds = ["containers", "tasks", "leases"];
  const lists = await Promise.all(
    kinds.map(async (kind) => {
      const { stdout } = await containerd.ctr(["--namespace", criNamespace, kind, "ls", "-q"]);
      return stdout
        .split("\n")
        .filter(Boolean)
        .map((name) => `record of containerd: ${kind} ${name}`);
    }),
  );
  return lists.flat();
}
