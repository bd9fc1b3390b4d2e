import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ErrorCode, failedPrecondition, isCode, SandboxError } from "@kuasar/framework/error/sandbox-error";
import type { Monitor, RootMount } from "@kuasar/framework/monitor/monitor";
import { findProgram } from "@kuasar/framework/proc/find-program";

export const MAKE_IMAGE = "mkfs.erofs";
/** Part of each image's name: with other options, another number. */
const FORMAT = 1;
const TIMEOUT_MS = 10 * 60_000;
const SIGKILL = 9;
const WORDS_MAX = 2_000;
/** What reading the files of others takes. */
const CAP_DAC_READ_SEARCH = 2;
const NAMESPACES = ["mount", "pid", "network", "ipc", "uts"] as const;
/** The program's libraries, and their loader. */
const LIBRARIES = ["/usr", "/lib", "/lib64"];

/** The same for the same layers: a snapshotter never changes a committed one, and a folder that is made anew has another time. */
export function imageName(layers: readonly string[]): string {
  const hash = createHash("sha256");
  for (const layer of layers) {
    const { dev, ino, ctimeNs } = statSync(layer, { bigint: true });
    hash.update(`${layer}\0${dev} ${ino} ${ctimeNs}\0`);
  }
  return `${hash.digest("hex")}.${FORMAT}.erofs`;
}

/**
 * Makes an erofs image of what is seen in the layers, the uppermost first, in a folder; answers with its name there. The
 * program has a mount namespace to itself, so that nothing is mounted when it has ended, however that came. It is not in
 * the pod's cgroup: an image is made for all the pods that will use it.
 * FAILED_PRECONDITION with what the program says; DEADLINE_EXCEEDED.
 */
export async function makeImage(
  monitor: Monitor,
  key: string,
  layers: readonly string[],
  folder: string,
  timeoutMs: number,
): Promise<string> {
  const program = findProgram(MAKE_IMAGE);
  if (program === undefined) throw failedPrecondition(`${MAKE_IMAGE} is not an executable file: install erofs-utils`);
  const words = join(folder, "words");
  await monitor.spawn({
    key,
    argv: [program, "/out/image", "/image"],
    env: [],
    cwd: "/",
    stdio: { stdin: "", stdout: words, stderr: words, terminal: false, consoleSocket: "", uid: 0, gid: 0 },
    namespaces: NAMESPACES.map((type) => ({ type, path: "" })),
    uidMappings: [],
    gidMappings: [],
    cgroupProcs: [],
    hostname: "",
    domainname: "",
    sysctls: {},
    credentials: { uid: 0, gid: 0, additionalGids: [], capabilities: [CAP_DAC_READ_SEARCH], noNewPrivileges: true },
    emptyRoot: false,
    parentDeathSignal: SIGKILL,
    root: [
      ...LIBRARIES.filter((path) => existsSync(path)).map((path) => bind(path, path, "ro", "nosuid", "nodev")),
      ...merged(layers),
      bind(folder, "/out", "nosuid", "nodev", "noexec"),
    ],
  });
  const status = await statusOf(monitor, key, timeoutMs === 0 ? TIMEOUT_MS : Math.min(timeoutMs, TIMEOUT_MS));
  if (status === 0) return "image";
  const said = readFileSync(words, "utf8").trim().slice(-WORDS_MAX);
  throw failedPrecondition(`${MAKE_IMAGE} of ${layers.join(":")} has ended with status ${status}: ${said}`);
}

/** Has it end, whatever it is doing. Harmless if there is none. */
export async function endMakingImage(monitor: Monitor, key: string): Promise<void> {
  try {
    await monitor.signal(key, SIGKILL);
    await monitor.wait(key);
  } catch (error) {
    if (!isCode(error, ErrorCode.NOT_FOUND)) throw error;
  }
  await monitor.release(key);
}

const bind = (source: string, target: string, ...options: string[]): RootMount => ({
  type: "bind",
  source,
  target,
  options,
});

/** An overlay needs two layers. */
function merged(layers: readonly string[]): RootMount[] {
  const [first = "", ...others] = layers;
  if (others.length === 0) return [bind(first, "/image", "ro", "nosuid", "noexec")];
  const lowerdir = layers.map((_, index) => `/layers/${index}`).join(":");
  return [
    ...layers.map((layer, index) => bind(layer, `/layers/${index}`, "ro", "nosuid", "noexec")),
    {
      type: "overlay",
      source: "overlay",
      target: "/image",
      options: ["ro", "nosuid", "noexec", `lowerdir=${lowerdir}`],
    },
  ];
}

async function statusOf(monitor: Monitor, key: string, timeoutMs: number): Promise<number> {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    // One that has just ended needs no signal.
    monitor.signal(key, SIGKILL).catch(() => {});
  }, timeoutMs);
  try {
    const { exit } = await monitor.wait(key);
    if (late) throw new SandboxError(ErrorCode.DEADLINE_EXCEEDED, `${MAKE_IMAGE} took longer than ${timeoutMs} ms`);
    return exit.status;
  } finally {
    clearTimeout(timer);
    await monitor.release(key);
  }
}
