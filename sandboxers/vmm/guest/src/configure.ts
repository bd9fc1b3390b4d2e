import type { kuasar } from "@kuasar/proto/guest";
import { makeFolders, readText, writeKernelFile } from "@kuasar/shim/platform/files";
import { setClock } from "guest";
import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import { writeFiles } from "./guest-files.ts";
import { configureNetwork } from "./network.ts";
import { memoryBytes } from "./online.ts";

type Request = kuasar.guest.v1.ConfigureRequest;

const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;

/** Makes the pod's machine of one that has just booted. FAILED_PRECONDITION names the step that failed. */
export function configure(request: Request): void {
  const { now } = request;
  if (now) step("the clock", () => setClock(now.seconds, now.nanos));
  if (request.hostname) step("hostname", () => sys.setHostname(request.hostname));
  if (request.domainname) step("domainname", () => sys.setDomainname(request.domainname));
  step("network", () => configureNetwork(request));
  for (const [name, value] of Object.entries(request.sysctls)) {
    step(`sysctl ${name}`, () => writeKernelFile(`/proc/sys/${name.replaceAll(".", "/")}`, value));
  }
  for (const { tag, path, type, options } of request.shares) {
    step(`share ${tag}`, () => {
      makeFolders(path, 0o755);
      sys.mount(tag, path, type, MS_NOSUID | MS_NODEV, options.join(","));
    });
  }
  step("/dev/shm", () => {
    makeFolders("/dev/shm", 0o755);
    const size = request.shmBytes > 0 ? `,size=${request.shmBytes}` : "";
    sys.mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, `mode=1777${size}`);
  });
  step("files", () => writeFiles(request.files));
}

export function describeMachine(): kuasar.guest.v1.ConfigureResponse {
  const [uptime = "0"] = readText("/proc/uptime").split(" ");
  return {
    kernel: readText("/proc/sys/kernel/osrelease").trim(),
    uptimeMs: Math.round(Number(uptime) * 1000),
    memoryBytes: memoryBytes(),
  };
}

function step(what: string, action: () => void): void {
  try {
    action();
  } catch (error) {
    throw new StatusError(Code.FAILED_PRECONDITION, `set up ${what}: ${(error as Error).message}`);
  }
}
