import { existsSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { failedPrecondition, unavailable } from "@kuasar/framework/error/sandbox-error";
import type { Monitor } from "@kuasar/framework/monitor/monitor";
import { findProgram } from "@kuasar/framework/proc/find-program";

export const VIRTIOFSD_KEY = "virtiofsd";
/** Where the program may be: Debian 13's and Debian 12's. */
export const VIRTIOFSD_PLACES = ["virtiofsd", "/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd"];
const READY_MS = 5_000;
const POLL_MS = 2;

export interface VirtiofsdOptions {
  /** "" looks where Debian has it. */
  readonly program: string;
  /** "auto", "always" or "never": what the guest may keep of files without asking again. */
  readonly cache: string;
  readonly extraArguments: readonly string[];
  readonly socket: string;
  readonly folder: string;
  readonly log: string;
  /** Of the log. */
  readonly keptBytes: number;
  readonly cgroupProcs: readonly string[];
}

/** The file server of a machine's share, on a socket that the hypervisor then connects to. */
export async function startVirtiofsd(
  monitor: Monitor,
  { program, cache, extraArguments, socket, folder, log, keptBytes, cgroupProcs }: VirtiofsdOptions,
): Promise<void> {
  const found = (program === "" ? VIRTIOFSD_PLACES : [program])
    .map((name) => findProgram(name))
    .find((path) => path !== undefined);
  if (found === undefined)
    throw failedPrecondition(
      `the share's file server ${program || "virtiofsd"} is not an executable file: install virtiofsd, or set "virtiofs_daemon_path"`,
    );
  await monitor.spawn({
    key: VIRTIOFSD_KEY,
    argv: [found, ...arguments_(found, socket, folder, cache), ...extraArguments],
    env: [],
    cwd: "/",
    stdio: { stdin: "", stdout: "", stderr: log, keptBytes, terminal: false, consoleSocket: "", uid: 0, gid: 0 },
    namespaces: [],
    uidMappings: [],
    gidMappings: [],
    cgroupProcs,
    hostname: "",
    domainname: "",
    sysctls: {},
    emptyRoot: false,
    parentDeathSignal: 9,
  });
  let ended = "";
  monitor.wait(VIRTIOFSD_KEY).then(
    ({ exit }) => {
      ended = `: it has ended with status ${exit.status}`;
    },
    () => {},
  );
  for (const until = Date.now() + READY_MS; !existsSync(socket); await sleep(POLL_MS)) {
    if (ended !== "" || Date.now() > until) throw unavailable(`${found} does not serve ${socket}${ended}`);
  }
}

/**
 * QEMU's own leaves a file that it has locked meanwhile, whatever ends it, named after its socket (fv_socket_lock in
 * tools/virtiofsd/fuse_virtio.c of QEMU 7.2).
 */
export function forgetVirtiofsd(socket: string): void {
  rmSync(`/var/run/virtiofsd/${socket.replaceAll("/", ".")}.pid`, { force: true });
}

/** QEMU's own of before 8.0, and the one that is a project of its own since. */
function arguments_(program: string, socket: string, folder: string, cache: string): string[] {
  // Upstream's file has had both words for it.
  const none = cache === "never" || cache === "none";
  return program.startsWith("/usr/lib/qemu/")
    ? [
        "-f",
        `--socket-path=${socket}`,
        "-o",
        `source=${folder}`,
        "-o",
        `sandbox=chroot,cache=${none ? "none" : cache},xattr,announce_submounts`,
      ]
    : [
        `--socket-path=${socket}`,
        `--shared-dir=${folder}`,
        "--sandbox=chroot",
        `--cache=${none ? "never" : cache}`,
        "--xattr",
        "--announce-submounts",
      ];
}
