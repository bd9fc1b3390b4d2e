import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { VmParts } from "@kuasar/install/parts";
import { execa } from "execa";

/** A machine's own disk, and what boots it. */
export interface RootImage {
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
}

/** What a node runs, beside what containerd's and our own tests need there: gcc and npm for the build, git to clone. */
const packages = [
  "linux-image-cloud-amd64",
  "systemd-sysv",
  "dbus",
  "udev",
  "kmod",
  "apparmor",
  "iproute2",
  "iptables",
  "procps",
  "runc",
  "crun",
  "catatonit",
  "containernetworking-plugins",
  "criu",
  "gcc",
  "libc6-dev",
  "libstdc++6",
  "git",
  // Virtual machines in this one.
  "qemu-system-x86",
  "lz4",
  "erofs-utils",
  "e2fsprogs",
  "iputils-ping",
];

const suite = "bookworm";
const diskBytes = 8 * 1024 ** 3;
const guest = join(dirname(fileURLToPath(import.meta.url)), "guest");
const stampName = "recipe";

/** The initramfs needs what finds the disk, and no more: the rest of Linux's drivers would only be unpacked slowly. */
const files: Readonly<Record<string, string>> = {
  "etc/initramfs-tools/conf.d/lab": "MODULES=list\n",
  "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\n",
  "etc/fstab":
    "/dev/disk/by-id/virtio-root / ext4 defaults 0 0\n/dev/disk/by-id/virtio-checkout /kuasar ext4 defaults 0 0\n",
  "etc/hostname": "kuasar-lab\n",
  "etc/systemd/system/kuasar-lab.service": readFileSync(join(guest, "kuasar-lab.service"), "utf8"),
};

/**
 * Debian 12 with its own kernel, as a disk. It is made once for a recipe and appears under its name complete.
 *
 * @param folder where it is kept
 */
export async function rootImage(parts: VmParts, folder: string, report: (line: string) => void): Promise<RootImage> {
  const place = join(folder, "root");
  const image = { disk: join(place, "disk"), kernel: join(place, "vmlinuz"), initrd: join(place, "initrd.img") };
  const recipe = recipeDigest();
  const stamp = join(place, stampName);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === recipe) return image;
  report(`making ${place}: Debian ${suite} with ${packages.join(", ")}`);
  const draft = join(folder, `draft-${process.pid}`);
  try {
    const tree = join(draft, "tree");
    mkdirSync(tree, { recursive: true });
    await installDebian(parts, tree, join(draft, "files"));
    const made = join(draft, "made");
    mkdirSync(made);
    await execa("cp", [join(tree, "vmlinuz"), join(made, "vmlinuz")]);
    await execa("cp", [join(tree, "initrd.img"), join(made, "initrd.img")]);
    await makeDisk(parts, tree, join(made, "disk"));
    writeFileSync(join(made, stampName), recipe);
    rmSync(place, { recursive: true, force: true });
    renameSync(made, place);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return image;
}

/** An ext4 file system of what lies in a folder, in a sparse file. */
export async function makeDisk(parts: VmParts, tree: string, disk: string): Promise<void> {
  const args = ["-q", "-F", "-m", "0", "-E", "lazy_itable_init=1", "-O", "^has_journal", "-d", tree, disk];
  await execa(parts.mkfs, [...args, `${diskBytes / 1024}k`]);
}

/** @param overlay a folder to lay out our own files in, which go in before the packages do */
async function installDebian(parts: VmParts, tree: string, overlay: string): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(overlay, path)), { recursive: true });
    writeFileSync(join(overlay, path), content);
  }
  const node = realpathSync(process.execPath);
  const npm = npmFolder();
  const hooks = [
    `--essential-hook=cp -r ${quote(overlay)}/. "$1"`,
    // The Node that runs this is the one that the tests know.
    `--customize-hook=cp ${quote(node)} "$1/usr/bin/node" && chroot "$1" node --version`,
    `--customize-hook=mkdir -p "$1/usr/lib/node_modules" && cp -r ${quote(npm)} "$1/usr/lib/node_modules/npm"`,
    '--customize-hook=ln -s ../lib/node_modules/npm/bin/npm-cli.js "$1/usr/bin/npm"',
    '--customize-hook=mkdir "$1/kuasar" && chroot "$1" systemctl enable kuasar-lab.service',
    // No timer should wake up in the midst of a measurement, and nobody logs in.
    '--customize-hook=chroot "$1" systemctl mask apt-daily.timer apt-daily-upgrade.timer getty@tty1.service',
  ];
  const options = [
    "--mode=root",
    "--variant=minbase",
    "--format=directory",
    '--aptopt=Acquire::Retries "3"',
    '--aptopt=Acquire::Languages "none"',
    ...["doc", "man", "locale"].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
    `--include=${packages.join(",")}`,
  ];
  const failures: unknown[] = [];
  for (const mirror of parts.mirrors) {
    try {
      const source = `deb [signed-by=${parts.keyring}] ${mirror} ${suite} main`;
      await execa(parts.mmdebstrap, [...options, ...hooks, suite, tree, source], { stdin: "ignore", all: true });
      return;
    } catch (error) {
      failures.push(error);
      rmSync(tree, { recursive: true, force: true });
    }
  }
  throw failures.length === 1 ? failures[0] : new AggregateError(failures, failures.map(String).join("\n"));
}

function npmFolder(): string {
  for (const folder of (process.env.PATH ?? "").split(":")) {
    const program = join(folder, "npm");
    // npm is a link to npm/bin/npm-cli.js.
    if (existsSync(program)) return dirname(dirname(realpathSync(program)));
  }
  throw new Error("npm is in no folder of PATH");
}

function recipeDigest(): string {
  const recipe = [suite, process.version, diskBytes, packages, files, readdirSync(npmFolder()).length];
  return createHash("sha256")
    .update(JSON.stringify(recipe))
    .update(readFileSync(fileURLToPath(import.meta.url)))
    .digest("hex");
}

const quote = (path: string) => `'${path.replaceAll("'", "'\\''")}'`;
