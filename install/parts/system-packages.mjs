import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "./run-command.mjs";

/** Where programs may lie; an ordinary user's PATH often lacks the sbin folders. */
const programFolders = [
  ...(process.env.PATH ?? "").split(":"),
  "/usr/local/sbin",
  "/usr/sbin",
  "/sbin",
  "/usr/bin",
  "/bin",
];

/**
 * @param {string} name
 * @returns {string | undefined} its path
 */
export function findProgram(name) {
  return programFolders.map((folder) => join(folder, name)).find((path) => path.startsWith("/") && existsSync(path));
}

/** @typedef {{ package: string, present: () => boolean | Promise<boolean> }} SystemPart */

/**
 * A part that is there however it came (another vendor's runc, say) is left alone: only what is missing is installed.
 *
 * @param {string} packageName
 * @param {string} program
 * @returns {SystemPart}
 */
export const programPart = (packageName, program) => ({
  package: packageName,
  present: () => findProgram(program) !== undefined,
});

/**
 * @param {string} packageName
 * @param {string} path
 * @returns {SystemPart}
 */
export const pathPart = (packageName, path) => ({ package: packageName, present: () => existsSync(path) });

/**
 * Installs by the machine's own apt what of the parts is missing.
 *
 * @param {SystemPart[]} parts
 * @param {(line: string) => void} report told what will be installed before it is
 */
export async function installSystemParts(parts, report) {
  const missing = [];
  for (const part of parts) if (!(await part.present())) missing.push(part.package);
  if (missing.length === 0) return;
  const command = ["apt-get", "install", "--yes", "--no-install-recommends", ...missing];
  if (process.getuid?.() !== 0) {
    throw new Error(`missing packages: ${missing.join(", ")}; as root run: ${command.join(" ")}`);
  }
  report(`installing with apt: ${missing.join(", ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  // Nothing the machine already has may be removed to make room; another apt at work is waited for.
  const options = ["-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3", "--no-remove"];
  const update = () => runCommand(["apt-get", "-q", "update"], { env });
  const install = () => runCommand([command[0], ...options, ...command.slice(1)], { env });
  const lists = "/var/lib/apt/lists";
  const hasLists = existsSync(lists) && readdirSync(lists).some((name) => name.endsWith("Release"));
  if (!hasLists) await update();
  try {
    await install();
  } catch (error) {
    // Old lists name versions the mirror no longer has.
    if (!hasLists) throw error;
    await update();
    await install();
  }
  for (const part of parts) {
    if (!(await part.present()))
      throw new Error(`package ${part.package} was installed, yet what it should bring is not there`);
  }
}
