import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { debianMirrors } from "./apt-sources.mjs";
import { withFileLock } from "./file-lock.mjs";
import { runCommand } from "./run-command.mjs";

export const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Written last into a prefix: the package names it was made of. */
const stampName = ".packages";

/** Working folders of one run; whoever holds the lock may throw away those of others. */
const stagingName = "staging-";

/**
 * A folder holding packages of Debian 13 (trixie), unpacked, not installed: the system's own apt and dpkg keep their
 * configuration, lists and state. A prefix appears under its name by one rename, complete and tried, or not at all.
 *
 * @param {string} root the folder all prefixes lie in
 * @param {string} name the prefix's name below it
 * @param {string[]} packages Debian package names; dependencies are not followed
 * @param {(prefix: string) => Promise<unknown>} verify throws when the unpacked programs do not run
 * @param {(line: string) => void} report
 * @returns {Promise<string>} the prefix's path
 */
export async function trixiePrefix(root, name, packages, verify, report) {
  const prefix = join(root, "trixie", name);
  const stamp = `${packages.join("\n")}\n`;
  const ready = () => existsSync(join(prefix, stampName)) && readFileSync(join(prefix, stampName), "utf8") === stamp;
  if (ready()) return prefix;
  return withFileLock(join(root, "lock"), async (lock) => {
    if (ready()) return prefix;
    for (const entry of readdirSync(root)) {
      if (entry.startsWith(stagingName)) rmSync(join(root, entry), { recursive: true, force: true });
    }
    const staging = join(root, `${stagingName}${process.pid}`);
    const unpacked = join(staging, "prefix");
    mkdirSync(unpacked, { recursive: true });
    try {
      report(`fetching ${packages.join(", ")} (Debian 13) into ${prefix}`);
      for (const archive of await download(root, join(staging, "debs"), packages, lock)) {
        await runCommand(["dpkg-deb", "--extract", archive, unpacked], { inherit: [lock] });
      }
      await verify(unpacked);
      writeFileSync(join(unpacked, stampName), stamp);
      mkdirSync(join(root, "trixie"), { recursive: true });
      if (existsSync(prefix)) renameSync(prefix, join(staging, "replaced"));
      renameSync(unpacked, prefix);
    } finally {
      rmSync(staging, { recursive: true, force: true });
    }
    return prefix;
  });
}

/**
 * The dynamic loader of a prefix, by which its programs run on any distribution, if the package libc6 is in there.
 *
 * @param {string} prefix
 * @returns {{ folder: string, command: string[] }} the folder of the libraries; what comes before a program's path
 */
export function loaderIn(prefix) {
  const lib = join(prefix, "usr", "lib");
  // The one folder that is named for the machine's architecture.
  for (const triplet of readdirSync(lib).filter((name) => name.endsWith("-linux-gnu"))) {
    const folder = join(lib, triplet);
    const loader = readdirSync(folder).find((name) => name.startsWith("ld-linux"));
    if (loader) return { folder, command: [join(folder, loader), "--library-path", folder] };
  }
  throw new Error(`no dynamic loader in ${lib}: expected the package libc6 there`);
}

/**
 * @param {string} root
 * @param {string} folder where the .deb files go
 * @param {string[]} packages
 * @param {number} lock
 * @returns {Promise<string[]>} paths of the .deb files
 */
async function download(root, folder, packages, lock) {
  const apt = join(root, "apt");
  const lists = join(apt, "lists");
  for (const path of [join(lists, "partial"), join(apt, "archives", "partial"), folder])
    mkdirSync(path, { recursive: true });
  const sources = join(apt, "trixie.list");
  const options = [
    `Dir::Etc::sourcelist=${sources}`,
    "Dir::Etc::sourceparts=/dev/null",
    // Pins made for the machine's own release must not decide what is taken from another one.
    "Dir::Etc::preferences=/dev/null",
    "Dir::Etc::preferencesparts=/dev/null",
    `Dir::State::Lists=${lists}`,
    `Dir::Cache=${apt}`,
    // As root apt would drop to a user who cannot enter a private folder, and warn.
    `APT::Sandbox::User=${process.getuid?.() === 0 ? "root" : ""}`,
    "Acquire::Languages=none",
    "Acquire::Retries=3",
  ].flatMap((option) => ["-o", option]);
  const aptGet = (...args) => runCommand(["apt-get", "-q", ...options, ...args], { cwd: folder, inherit: [lock] });
  const update = async () => {
    const failures = [];
    for (const mirror of debianMirrors()) {
      writeFileSync(sources, `deb [signed-by=${keyring}] ${mirror} trixie main\n`);
      try {
        return await aptGet("-o", "APT::Update::Error-Mode=any", "update");
      } catch (error) {
        failures.push(error);
      }
    }
    throw failures.length === 1 ? failures[0] : new AggregateError(failures, failures.map(String).join("\n"));
  };
  const fetch = () => aptGet("download", ...packages.map((name) => `${name}/trixie`));

  const hadLists = readdirSync(lists).some((name) => name.endsWith("InRelease"));
  if (!hadLists) await update();
  try {
    await fetch();
  } catch (error) {
    // Lists kept from an earlier run may name a version the mirror has since replaced.
    if (!hadLists) throw error;
    await update();
    await fetch();
  }
  const archives = readdirSync(folder).filter((name) => name.endsWith(".deb"));
  if (archives.length !== packages.length) {
    throw new Error(
      `expected ${packages.length} packages of ${packages.join(", ")}, apt brought ${archives.join(", ")}`,
    );
  }
  return archives.map((name) => join(folder, name));
}
