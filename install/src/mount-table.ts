import { readFileSync } from "node:fs";
import { execa } from "execa";

export interface Mount {
  readonly target: string;
  readonly fsType: string;
  readonly source: string;
  /** Mount options and those of the file system (which name a cgroup v1 hierarchy's controllers). */
  readonly options: readonly string[];
}

/** This process's mounts in mounting order, from /proc/self/mountinfo (proc_pid_mountinfo(5)). */
export function mountTable(): Mount[] {
  const mounts: Mount[] = [];
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
    const [before, after] = line.split(" - ");
    if (before === undefined || after === undefined) continue;
    const [, , , , target = "", mountOptions = ""] = before.split(" ");
    const [fsType = "", source = "", superOptions = ""] = after.split(" ");
    mounts.push({
      target: unescapeOctal(target),
      fsType,
      source: unescapeOctal(source),
      options: [...mountOptions.split(","), ...superOptions.split(",")],
    });
  }
  return mounts;
}

/** Mounts on the folder itself and below it, the deepest and latest first, which is the order to unmount them in. */
export function mountsBelow(directory: string): Mount[] {
  const inside = (target: string) => target === directory || target.startsWith(`${directory}/`);
  return mountTable()
    .filter((mount) => inside(mount.target))
    .reverse();
}

/** @returns the mount points that were there. */
export async function unmountBelow(directory: string): Promise<string[]> {
  const targets = mountsBelow(directory).map((mount) => mount.target);
  for (const target of targets) await execa("umount", ["--no-canonicalize", target]);
  return targets;
}

/** The kernel writes space, tab, newline and backslash as three octal digits. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
