import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type KernelModule, kernelModules, moduleNames } from "./kernel-modules.ts";

// What a container may ask its machine's kernel for: packet filters, bridges, tunnels and other virtual interfaces, and the
// file systems of volumes that it mounts itself. Not drivers of devices, which a machine does not have.
const WANTED = [
  "kernel/net/(bridge|netfilter|ipv4|ipv6|8021q|sched)/",
  "kernel/drivers/net/(bonding/|dummy|geneve|ifb|ipvlan/|macvlan|macvtap|tap|tun|veth|vrf|vxlan/|wireguard/)",
  "kernel/fs/(fuse/|isofs/|squashfs/|nfs/)",
].join("|");

/** A file that says which modules bring what the kernel asks for: "NAME MODULE...", in the order to load them in. */
const REQUESTS = "requests";
const STAMP = "from";
const PATTERN = /[*?[\]]/;

/**
 * Writes the modules that machines load when somebody asks for what they bring, into a folder that machines see by their
 * share: in the initial ramdisk they would take memory of each.
 * @param from lib/modules/RELEASE
 * @returns how many bytes there are, or undefined where they were there already
 */
export function writeAskedModules(from: string, folder: string): number | undefined {
  const stamp = `${realpathSync(from)} ${statSync(from).mtimeMs} ${WANTED}\n`;
  const stampFile = join(folder, STAMP);
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return undefined;
  const modules = kernelModules(from, moduleNames(from, new RegExp(`^(${WANTED})`)));
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const files = modules.map(({ name, content }) => [`${name}.ko`, content] as const);
  for (const [name, content] of [
    ...files,
    [REQUESTS, Buffer.from(requests(modules))] as const,
    [STAMP, Buffer.from(stamp)] as const,
  ]) {
    const unfinished = join(folder, `${name}.${process.pid}`);
    writeFileSync(unfinished, content, { mode: 0o644 });
    renameSync(unfinished, join(folder, name));
  }
  return modules.reduce((sum, { content }) => sum + content.length, 0);
}

/** A module answers to its name, and to its aliases but for the patterns: these are about devices. */
export function requests(modules: ReadonlyArray<Omit<KernelModule, "content">>): string {
  const byName = new Map(modules.map((module) => [module.name, module]));
  const chain = (name: string): string[] => {
    const module = byName.get(name);
    return module ? [...new Set([...module.needs.flatMap(chain), name])] : [];
  };
  return modules
    .flatMap(({ name, aliases }) =>
      [name, ...aliases.filter((alias) => !PATTERN.test(alias))].map((asked) => `${asked} ${chain(name).join(" ")}\n`),
    )
    .join("");
}
