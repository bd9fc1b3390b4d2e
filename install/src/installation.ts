import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { cp, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { programDirectory, shimProgram } from "./programs.ts";
import { sandboxerKinds } from "./sandboxer-kinds.ts";
import { runtimeFragment, systemdUnit, unitName } from "./system-files.ts";

export interface InstallOptions {
  /** Programs go to PREFIX/lib/kuasar, links to them to PREFIX/bin. */
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

/** Copies the programs and lets systemd run the sandboxers. Run again, it brings everything up to date. */
export async function install(options: InstallOptions): Promise<void> {
  const { prefix, unitDir } = options;
  const source = programDirectory();
  if (!existsSync(join(source, shimProgram))) throw new Error(`${source} has no ${shimProgram}: npm run build`);
  const home = homeOf(prefix);
  const kinds = sandboxerKinds.filter(({ program }) => existsSync(join(source, program)));
  const copy = (from: string, to: string): Step => ({
    say: `copy ${from} to ${to}`,
    // A running program's file cannot be written to; a new file in its place can.
    act: async () => {
      await rm(to, { recursive: true, force: true });
      await cp(from, to, { recursive: true });
    },
  });
  const steps: Step[] = [
    {
      say: `make ${home}, ${join(prefix, "bin")}`,
      act: () => Promise.all([home, join(prefix, "bin")].map(makeFolder)),
    },
    copy(source, join(home, "bin")),
    copy(join(source, "..", "lib"), join(home, "lib")),
    ...readdirSync(source).map((name): Step => {
      const link = join(prefix, "bin", name);
      const target = join(home, "bin", name);
      return {
        say: `link ${link} to ${target}`,
        act: async () => {
          await rm(link, { force: true });
          await symlink(target, link);
        },
      };
    }),
    ...kinds.map((kind): Step => {
      const path = join(unitDir, unitName(kind));
      return {
        say: `write ${path}`,
        act: async () => {
          await makeFolder(unitDir);
          await writeFile(path, systemdUnit(kind, join(prefix, "bin", kind.program)));
        },
      };
    }),
  ];
  if (systemdRuns()) {
    steps.push(systemctl("daemon-reload"));
    for (const kind of kinds) steps.push(systemctl("enable", unitName(kind)), systemctl("restart", unitName(kind)));
  }
  await take(steps, options.dryRun);
  if (!systemdRuns()) {
    say("systemd does not run here; start the sandboxers yourself:");
    for (const { program, socket, directory } of kinds) say(`  ${program} --listen ${socket} --dir ${directory}`);
  }
  say("\nadd to /etc/containerd/config.toml, then restart containerd:\n");
  say(runtimeFragment(kinds));
}

/** Removes what `install` brought. Pods that run go on until their sandboxer's programs are needed again. */
export async function uninstall({ prefix, unitDir, dryRun }: InstallOptions): Promise<void> {
  const home = homeOf(prefix);
  const units = sandboxerKinds.map(unitName).filter((name) => existsSync(join(unitDir, name)));
  const steps: Step[] = [];
  if (systemdRuns()) for (const unit of units) steps.push(systemctl("disable", "--now", unit));
  steps.push(...units.map((name) => removal(join(unitDir, name))));
  if (systemdRuns() && units.length > 0) steps.push(systemctl("daemon-reload"));
  const bin = join(prefix, "bin");
  const entries = existsSync(bin) ? readdirSync(bin, { withFileTypes: true }) : [];
  for (const entry of entries.filter((entry) => entry.isSymbolicLink())) {
    if (readlinkSync(join(bin, entry.name)).startsWith(`${home}/`)) steps.push(removal(join(bin, entry.name)));
  }
  if (existsSync(home)) steps.push(removal(home));
  if (steps.length === 0) say(`nothing of kuasar is installed below ${prefix} or ${unitDir}`);
  await take(steps, dryRun);
}

const homeOf = (prefix: string) => join(prefix, "lib", "kuasar");
const makeFolder = (path: string) => mkdir(path, { recursive: true });
const removal = (path: string): Step => ({ say: `remove ${path}`, act: () => rm(path, { recursive: true }) });
const systemdRuns = () => existsSync("/run/systemd/system");

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
