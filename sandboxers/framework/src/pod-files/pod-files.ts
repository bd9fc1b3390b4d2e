import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname as hostHostname } from "node:os";
import { join } from "node:path";
import { failedPrecondition } from "../error/sandbox-error.ts";
import type { Monitor } from "../monitor/monitor.ts";
import type { PodConfig } from "../pause/pod-config.ts";
import { resolvConf } from "./resolv-conf.ts";

/** Containers see these four at these places; by destination, where the pod's own is on the host. */
export type PodFiles = Readonly<Record<PodFileDestination, string>>;

export const POD_FILE_DESTINATIONS = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/dev/shm"] as const;

export type PodFileDestination = (typeof POD_FILE_DESTINATIONS)[number];

const SHM_BYTES = 64 * 1024 * 1024;

/**
 * Makes them, in a folder of the sandbox, where containerd does not (`sandbox_mode = "shim"`).
 * Contract: containerd's `pkg/cri/sbserver/podsandbox/sandbox_run_linux.go`, `setupSandboxFiles`.
 */
export async function createPodFiles(folder: string, config: PodConfig, monitor: Monitor): Promise<PodFiles> {
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  const files: Record<PodFileDestination, string> = {
    "/etc/hostname": join(folder, "hostname"),
    "/etc/hosts": join(folder, "hosts"),
    "/etc/resolv.conf": join(folder, "resolv.conf"),
    "/dev/shm": config.hostIpc ? "/dev/shm" : join(folder, "shm"),
  };
  writeFileSync(files["/etc/hostname"], `${config.hostname || hostHostname()}\n`, { mode: 0o644 });
  copyOrEmpty("/etc/hosts", files["/etc/hosts"]);
  if (config.dns === undefined) {
    copyOrEmpty("/etc/resolv.conf", files["/etc/resolv.conf"]);
  } else {
    writeFileSync(files["/etc/resolv.conf"], resolvConf(config.dns), { mode: 0o644 });
  }
  if (config.hostIpc) {
    if (!existsSync("/dev/shm")) {
      throw failedPrecondition("the host has no /dev/shm for a pod that shares the host's ipc namespace");
    }
  } else {
    mkdirSync(files["/dev/shm"], { mode: 0o700 });
    const options = ["noexec", "nosuid", "nodev", "mode=1777", `size=${SHM_BYTES}`];
    await monitor.mount([{ type: "tmpfs", source: "shm", target: "", options }], files["/dev/shm"]);
  }
  return files;
}

/** Unmounts what was mounted; the files go with the sandbox's folder. Harmless if there is nothing. */
export async function releasePodFiles(folder: string, monitor: Monitor): Promise<void> {
  const shm = join(folder, "shm");
  if (existsSync(shm)) {
    await monitor.unmount(shm);
  }
}

// A minimal host may lack either; an empty file is what a container then would have seen.
function copyOrEmpty(source: string, target: string): void {
  writeFileSync(target, existsSync(source) ? readFileSync(source) : "", { mode: 0o644 });
}
