import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { execa } from "execa";
import { writeGuestImage } from "./guest-image.ts";
import { programDirectory, shimProgram } from "./programs.ts";
import { copyRelease, releaseOf, replaceLink } from "./release.ts";
import { type SandboxerKind, sandboxerKinds } from "./sandboxer-kinds.ts";
import { runtimeFragment, systemdUnit, unitName } from "./system-files.ts";

export interface InstallOptions {
  /** Programs go to PREFIX/lib/kuasar/releases, links to them to PREFIX/bin. */
  readonly prefix: string;
  readonly unitDir: string;
  /** Only says what would be done. */
  readonly dryRun: boolean;
}

/** A change to the machine, and how to say it. */
interface Step {
  readonly say: string;
  act(): Promise<unknown>;
}

/**
 * Copies the programs and lets systemd run the sandboxers. Run again with a newer build, it upgrades under running pods:
 * the old programs are there until the sandboxers have been restarted with the new ones.
 */
export async function install(options: InstallOptions): Promise<void> {
  const { prefix, unitDir } = options;
  const source = programDirectory();
  if (!existsSync(join(source, shimProgram))) throw new Error(`${source} has no ${shimProgram}: npm run build`);
  const dist = dirname(source);
  const { name, programs } = releaseOf(dist);
  const { releases, current } = placesOf(prefix);
  const release = join(releases, name);
  const kinds: SandboxerKind[] = [];
  const leftOut: string[] = [];
  for (const kind of sandboxerKinds.filter(({ program }) => programs.includes(program))) {
    const obstacle = await obstacleTo(kind, options);
    if (obstacle === undefined) kinds.push(kind);
    else leftOut.push(`the ${kind.kind} sandboxer is left out: ${obstacle}, and run kuasar install again`);
  }
  const steps: Step[] = [{ say: `make ${releases}, ${join(prefix, "bin")}`, act: () => makeFolders(prefix) }];
  if (!existsSync(release)) steps.push({ say: `copy ${dist} to ${release}`, act: () => copyRelease(dist, release) });
  steps.push(link(release, current));
  for (const program of programs) steps.push(link(join(current, "bin", program), join(prefix, "bin", program)));
  steps.push(
    ...linksInto(prefix)
      .filter((path) => !programs.includes(basename(path)))
      .map(removal),
  );
  for (const kind of kinds) {
    const path = join(unitDir, unitName(kind));
    steps.push({
      say: `write ${path}`,
      act: async () => {
        await mkdir(unitDir, { recursive: true });
        await writeFile(path, systemdUnit(kind, join(prefix, "bin", kind.program)));
      },
    });
  }
  const managed = systemdRuns(unitDir);
  if (managed) {
    steps.push(systemctl("daemon-reload"));
    for (const kind of kinds) steps.push(systemctl("enable", unitName(kind)), systemctl("restart", unitName(kind)));
  }
  const others = existsSync(releases) ? readdirSync(releases).filter((other) => other !== name) : [];
  steps.push(...others.map((other) => removal(join(releases, other))));
  await take(steps, options.dryRun);
  if (!managed) {
    say("systemd does not run these units; start the sandboxers yourself:");
    for (const { program, socket, directory } of kinds) say(`  ${program} --listen ${socket} --dir ${directory}`);
  }
  for (const line of leftOut) say(`\n${line}`);
  say("\nadd to /etc/containerd/config.toml, then restart containerd:\n");
  say(runtimeFragment(kinds));
}

/**
 * Makes what a sandboxer needs beside its program. Answers with why it cannot run here, and what to do; undefined if it
 * can. The other sandboxers are installed whatever that is.
 */
async function obstacleTo(kind: SandboxerKind, { prefix, dryRun }: InstallOptions): Promise<string | undefined> {
  const missing = kind.missing?.() ?? [];
  if (missing.length > 0) return `install ${missing.join(", ")}`;
  if (!kind.guestImage) return undefined;
  const { guest } = placesOf(prefix);
  const make: Step = {
    say: `make what virtual machines boot in ${guest}`,
    act: () => writeGuestImage({ output: guest, ociRuntime: "crun" }),
  };
  try {
    await take([make], dryRun);
    return undefined;
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    if (!existsSync(guest)) return `${cause}; make it by kuasar guest-image --output ${guest} --kernel ...`;
    say(`${guest} stays as it is: ${cause}`);
    return undefined;
  }
}

/** Removes what `install` brought. Pods that run go on until their sandboxer's programs are needed again. */
export async function uninstall({ prefix, unitDir, dryRun }: InstallOptions): Promise<void> {
  const { home } = placesOf(prefix);
  const units = sandboxerKinds.map(unitName).filter((name) => existsSync(join(unitDir, name)));
  const managed = systemdRuns(unitDir);
  const steps: Step[] = [];
  if (managed) for (const unit of units) steps.push(systemctl("disable", "--now", unit));
  steps.push(...units.map((name) => removal(join(unitDir, name))));
  if (managed && units.length > 0) steps.push(systemctl("daemon-reload"));
  steps.push(...linksInto(prefix).map(removal));
  if (existsSync(home)) steps.push(removal(home));
  if (steps.length === 0) say(`nothing of kuasar is installed below ${prefix} or ${unitDir}`);
  await take(steps, dryRun);
}

function placesOf(prefix: string) {
  const home = join(prefix, "lib", "kuasar");
  return { home, releases: join(home, "releases"), current: join(home, "current"), guest: join(home, "guest") };
}

async function makeFolders(prefix: string): Promise<void> {
  for (const folder of [placesOf(prefix).releases, join(prefix, "bin")]) await mkdir(folder, { recursive: true });
}

/** The links in PREFIX/bin that lead to our programs. */
function linksInto(prefix: string): string[] {
  const bin = join(prefix, "bin");
  const { home } = placesOf(prefix);
  const entries = existsSync(bin) ? readdirSync(bin, { withFileTypes: true }) : [];
  const links = entries.filter((entry) => entry.isSymbolicLink()).map((entry) => join(bin, entry.name));
  return links.filter((path) => readlinkSync(path).startsWith(`${home}/`));
}

/** Whether systemd runs, and reads the units of this folder. */
const systemdRuns = (unitDir: string) => existsSync("/run/systemd/system") && unitDir.startsWith("/etc/systemd/");
const removal = (path: string): Step => ({ say: `remove ${path}`, act: () => rm(path, { recursive: true }) });
const link = (to: string, path: string): Step => ({ say: `link ${path} to ${to}`, act: () => replaceLink(to, path) });

function systemctl(...args: string[]): Step {
  return { say: `systemctl ${args.join(" ")}`, act: () => execa("systemctl", args) };
}

async function take(steps: readonly Step[], dryRun: boolean): Promise<void> {
  for (const step of steps) {
    say(dryRun ? `would ${step.say}` : step.say);
    if (!dryRun) await step.act();
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
