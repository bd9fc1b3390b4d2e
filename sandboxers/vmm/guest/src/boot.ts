import { makeFolders, readTextIfThere } from "@kuasar/shim/platform/files";
import { link, raiseLimits } from "guest";
import * as sys from "sys";
import { loadModules } from "./kernel-modules.ts";
import { answerModuleRequests } from "./modprobe.ts";
import { expectMemory } from "./online.ts";

/** Where the initial ramdisk has everything but this program's start: it becomes the root. */
const NEW_ROOT = "/sysroot";
const OCI_RUNTIME = "/bin/oci-runtime";
const MS_RDONLY = 1;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;
const MS_REMOUNT = 32;
const MS_BIND = 4096;
const MS_MOVE = 8192;
const MS_REC = 16384;
const MS_SHARED = 1 << 20;

interface KernelMount {
  readonly type: string;
  readonly target: string;
  readonly flags: number;
  readonly data: string;
}

const KERNEL_MOUNTS: readonly KernelMount[] = [
  { type: "proc", target: "/proc", flags: MS_NOSUID | MS_NODEV | MS_NOEXEC, data: "" },
  { type: "sysfs", target: "/sys", flags: MS_NOSUID | MS_NODEV | MS_NOEXEC, data: "" },
  { type: "devtmpfs", target: "/dev", flags: MS_NOSUID, data: "mode=0755" },
  {
    type: "devpts",
    target: "/dev/pts",
    flags: MS_NOSUID | MS_NOEXEC,
    data: "newinstance,ptmxmode=0666,mode=0620,gid=5",
  },
  { type: "tmpfs", target: "/run", flags: MS_NOSUID | MS_NODEV, data: "mode=0755" },
  { type: "tmpfs", target: "/tmp", flags: MS_NOSUID | MS_NODEV, data: "mode=1777" },
  { type: "cgroup2", target: "/sys/fs/cgroup", flags: MS_NOSUID | MS_NODEV | MS_NOEXEC, data: "nsdelegate" },
];

/**
 * From the kernel's first process to a machine that containers can run in: the root, the kernel's file systems, the
 * devices' drivers.
 */
export function boot(): void {
  becomeRoot();
  raiseLimits();
  for (const { type, target, flags, data } of KERNEL_MOUNTS) {
    makeFolders(target, 0o755);
    sys.mount(type, target, type, flags, data);
  }
  expectMemory();
  for (const [target, path] of [
    ["/proc/self/fd", "/dev/fd"],
    ["/proc/self/fd/0", "/dev/stdin"],
    ["/proc/self/fd/1", "/dev/stdout"],
    ["/proc/self/fd/2", "/dev/stderr"],
  ] as const) {
    link(target, path);
  }
  protectRuntime();
  sys.mount("", "/", "", MS_REC | MS_SHARED, "");
  loadModules("/lib/modules/order");
  answerModuleRequests();
}

/** OCI runtimes make a copy of themselves at each call, against containers that write to it, unless nobody can. */
function protectRuntime(): void {
  sys.mount(OCI_RUNTIME, OCI_RUNTIME, "", MS_BIND, "");
  sys.mount("", OCI_RUNTIME, "", MS_BIND | MS_REMOUNT | MS_RDONLY, "");
}

/**
 * pivot_root, which OCI runtimes use, refuses the kernel's first file system as the old root: a mount on top of it is
 * none. Nothing is copied.
 */
function becomeRoot(): void {
  sys.mount(NEW_ROOT, NEW_ROOT, "", MS_BIND, "");
  sys.chdir(NEW_ROOT);
  sys.mount(".", "/", "", MS_MOVE, "");
  sys.chroot(".");
  sys.chdir("/");
}

/** What the sandboxer says on the kernel's command line: `kuasar.NAME=VALUE`. */
export function bootParameter(name: string): string | undefined {
  const words = (readTextIfThere("/proc/cmdline") ?? "").trim().split(" ");
  const prefix = `kuasar.${name}=`;
  return words.find((word) => word.startsWith(prefix))?.slice(prefix.length);
}
