/**
 * System calls that change something outside of the process that makes them, or hand something to another process.
 * What lies between two of them nobody else can tell apart: a kill at each is a kill at any moment.
 */
export const changingSyscalls: readonly string[] = [
  ...["openat", "mkdir", "mkdirat", "mknodat", "rename", "renameat", "renameat2", "symlink", "link", "ftruncate"],
  ...[
    "unlink",
    "unlinkat",
    "rmdir",
    "write",
    "pwrite64",
    "writev",
    "splice",
    "fchown",
    "fchownat",
    "chmod",
    "fchmodat",
  ],
  ...["mount", "umount2", "move_mount", "open_tree", "mount_setattr", "pivot_root", "setns", "unshare"],
  ...["socket", "bind", "listen", "connect", "accept4", "sendto", "sendmsg", "recvmsg", "shutdown"],
  ...["clone", "clone3", "fork", "vfork", "kill", "pidfd_open", "pidfd_send_signal", "wait4"],
  ...["setsid", "prctl", "exit_group"],
];

/** Calls of the list that only look: files opened for reading, and wake-ups within the process. */
export function onlyLooks(syscall: string, text: string): boolean {
  if (syscall === "openat") return !/O_(WRONLY|RDWR|CREAT)/.test(text);
  return text.includes("anon_inode:[eventfd]") || text.includes("anon_inode:[signalfd]");
}
