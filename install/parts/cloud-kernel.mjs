import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { withFileLock } from "./file-lock.mjs";
import { runCommand } from "./run-command.mjs";

/** Debian's kernel for virtual machines, by Node's name of the architecture. */
const metaPackages = { x64: "linux-image-cloud-amd64", arm64: "linux-image-cloud-arm64" };

/**
 * The kernel of virtual machines: this Debian's own package, unpacked, not installed, since this machine is not to boot it.
 *
 * @param {string} root the folder all kernels lie in
 * @param {(line: string) => void} report
 * @returns {Promise<{ image: string, modules: string }>} the kernel's file, and the folder lib/modules/RELEASE
 */
export async function cloudKernel(root, report) {
  const meta = metaPackages[process.arch];
  if (!meta) throw new Error(`no kernel for virtual machines is known for ${process.arch}`);
  const folder = join(root, "kernel");
  const place = join(folder, "current");
  if (existsSync(place)) return kernelIn(place);
  mkdirSync(folder, { recursive: true });
  return withFileLock(join(folder, "lock"), async (lock) => {
    if (existsSync(place)) return kernelIn(place);
    const staging = join(folder, "staging");
    rmSync(staging, { recursive: true, force: true });
    mkdirSync(staging, { recursive: true });
    try {
      const name = await packageOf(meta);
      report(`fetching ${name} into ${place}`);
      const user = `APT::Sandbox::User=${process.getuid?.() === 0 ? "root" : ""}`;
      const options = { cwd: staging, inherit: [lock] };
      await runCommand(["apt-get", "-q", "-o", user, "-o", "Acquire::Retries=3", "download", name], options);
      const archive = readdirSync(staging).find((file) => file.endsWith(".deb"));
      if (!archive) throw new Error(`apt has brought nothing for ${name}`);
      const unpacked = join(staging, "unpacked");
      await runCommand(["dpkg-deb", "--extract", join(staging, archive), unpacked], { inherit: [lock] });
      const kernel = kernelIn(unpacked);
      renameSync(unpacked, place);
      return { image: kernel.image.replace(unpacked, place), modules: kernel.modules.replace(unpacked, place) };
    } finally {
      rmSync(staging, { recursive: true, force: true });
    }
  });
}

/** The package that a meta package stands for now. */
async function packageOf(meta) {
  const find = async () =>
    /Depends: (linux-image-\S+)/.exec(await runCommand(["apt-cache", "depends", meta], { quiet: true }))?.[1];
  const known = await find().catch(() => undefined);
  if (known) return known;
  await runCommand(["apt-get", "-q", "update"]);
  const found = await find();
  if (!found) throw new Error(`apt knows no kernel for ${meta}`);
  return found;
}

function kernelIn(prefix) {
  const only = (folder, wanted) => {
    const names = readdirSync(join(prefix, folder)).filter(wanted);
    if (names.length !== 1) throw new Error(`expected one kernel in ${join(prefix, folder)}, got ${names.join(", ")}`);
    return join(prefix, folder, names[0]);
  };
  const modules = existsSync(join(prefix, "usr/lib/modules")) ? "usr/lib/modules" : "lib/modules";
  return { image: only("boot", (name) => name.startsWith("vmlinuz-")), modules: only(modules, () => true) };
}
