import { mkdirSync } from "node:fs";
import { execa } from "execa";

/** Folders of which a sealed process has its own, empty ones: all that containerd, shims, runc and CNI write to. */
export const privatePlaces: readonly string[] = ["/run", "/tmp", "/var/lib"];

const MARK = "KUASAR_CHURN_SEALED";

export function isSealed(): boolean {
  return process.env[MARK] === "1";
}

/**
 * Runs this program again in namespaces of its own, with the same arguments: whatever is to be seen there afterwards is
 * this run's. When the program ends, by whatever, the kernel ends all that it has started.
 *
 * @returns its exit status
 */
export async function runSealed(): Promise<number> {
  // What others have mounted there would be kept in use by this copy of it. Some of it may be gone by now.
  const places = privatePlaces.map((place) => place.slice(1)).join("|");
  const foreign = `awk '$5 ~ "^/(${places})/" {print $5}' /proc/self/mountinfo | tac | xargs -r -n 1 umount -l 2>/dev/null || true`;
  const mounts = privatePlaces.map((place) => `mount -t tmpfs -o mode=755 tmpfs ${place}`);
  const script = [foreign, ...mounts, "chmod 1777 /tmp", "ip link set lo up", 'exec "$@"'].join("\n");
  const { exitCode, signal } = await execa(
    "unshare",
    [
      ...["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "--net", "--ipc"],
      // The first process of a pid namespace must reap.
      ...["catatonit", "--", "sh", "-e", "-c", script, "sh"],
      ...[process.execPath, ...process.execArgv, ...process.argv.slice(1)],
    ],
    { env: { [MARK]: "1" }, stdio: "inherit", reject: false },
  );
  if (exitCode === undefined) throw new Error(`the sealed run was ended by ${signal}`);
  return exitCode;
}

/** Folders that a fresh /var/lib or /run lacks, and whose makers want their parents. */
export function furnish(): void {
  mkdirSync("/var/lib/cni", { recursive: true });
}
