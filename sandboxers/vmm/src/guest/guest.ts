import { randomUUID } from "node:crypto";
import type { Monitor } from "@kuasar/framework/monitor/monitor";
import { asSandboxError, createMonitorCalls } from "@kuasar/framework/monitor/monitor-calls";
import { kuasar } from "@kuasar/proto/containerd";
import { GuestService } from "@kuasar/proto/definitions";
import type { AgentAddress } from "../hypervisor/hypervisor.ts";
import { createGuestLink } from "./guest-link.ts";

const wire = kuasar.guest.v1;
const CALL_TIMEOUT_MS = 10_000;
/** The first one comes with its drivers, and a file system's journal may have to be gone through. */
const DRIVE_TIMEOUT_MS = 60_000;
/** Of a file that is read; see guest.proto. */
const FILE_BYTES = 256 * 1024;
/** The guest gives up before. */
const DIAL_TIMEOUT_MS = 15_000;
/** Of this process: a guest hangs up what an earlier one has dialled. */
const SESSION = randomUUID();
/** A process may write nothing, or take nothing, for as long as it likes. */
const NO_LIMIT = 0;

export type Machine = kuasar.guest.v1.ConfigureResponse;
export type ConfigureRequest = kuasar.guest.v1.IConfigureRequest;
/** A drive's node in the guest. */
export type GuestDrive = kuasar.guest.v1.OpenDriveResponse;
export interface DriveMount {
  readonly type: string;
  /** A folder of the guest, which is made. */
  readonly target: string;
  readonly options: readonly string[];
}
export interface GuestFile {
  readonly path: string;
  readonly content: Uint8Array;
  readonly mode: number;
}

/**
 * vmm-task in a pod's machine: its processes, as a monitor, and what is in it. What comes from there was said by somebody
 * who may have been taken over: sizes are bounded by the protocol, and nothing of it is a path or a name on the host.
 * Contract: `kuasar/guest/v1/guest.proto`.
 */
export interface Guest {
  readonly processes: Monitor;
  /** Answers once the machine has booted and been set up, or with what it failed at. */
  configure(request: ConfigureRequest, timeoutMs: number): Promise<Machine>;
  openIo(
    key: string,
    wanted: { stdin: boolean; stdout: boolean; stderr: boolean },
  ): Promise<{ stdin: string; stdout: string; stderr: string }>;
  /** What a process wrote, from `from` on; waits for some. What lies before the offset cannot be had again. */
  readOutput(key: string, fd: 1 | 2, offset: number, from: number): Promise<{ data: Uint8Array; end: boolean }>;
  /** Answers when the process's pipe has taken all of it. `end`: there is no more. */
  writeInput(key: string, offset: number, data: Uint8Array, end: boolean): Promise<void>;
  /** Nobody will read what a process writes there: it is told so. UNIMPLEMENTED in a machine of an older image. */
  closeOutput(key: string, fd: 1 | 2): Promise<void>;
  closeIo(key: string): Promise<void>;
  /** Connects to a server in the machine: `readOutput` and `writeInput` then are of that. NOT_FOUND where nobody listens. */
  dial(key: string, port: number): Promise<void>;
  writeFiles(files: readonly GuestFile[]): Promise<void>;
  /** By path; those that there are. */
  readFiles(paths: readonly string[]): Promise<ReadonlyMap<string, string>>;
  remove(paths: readonly string[]): Promise<void>;
  /** Answers when more processes of the cgroup have been killed for lack of memory, and when the process has exited. */
  waitForOom(cgroup: string, count: number, key: string): Promise<{ count: number; exited: boolean }>;
  /** Brings the machine's clock to this host's, but for the time that the call takes to get there. */
  setClock(): Promise<void>;
  /** Takes into use what processors and memory the hypervisor has added. */
  online(): Promise<{ cpus: number; memoryBytes: number }>;
  /** Takes a drive that the hypervisor has attached into use, with its file system where it has one to be mounted. */
  openDrive(address: string, mount?: DriveMount): Promise<GuestDrive>;
  /** So that the hypervisor can take the drive away: harmless if it is not there. */
  closeDrive(address: string): Promise<void>;
  powerOff(): Promise<void>;
  /** Asks for nothing: whether the guest answers at all, on this connection or a new one. */
  ping(timeoutMs: number): Promise<void>;
  /** The guest is taken to be silent, or not: while it is, all calls but `ping` fail at once with UNAVAILABLE. */
  silence(words: string): void;
  heard(): void;
  /** Set by `close`. */
  readonly closed: boolean;
  close(): void;
}

export function connectGuest(address: AgentAddress): Guest {
  const link = createGuestLink(address);

  async function call<I, O>(
    name: string,
    input: { encode(message: I): Uint8Array },
    request: I,
    output: { decode(bytes: Uint8Array): O },
    timeoutMs = CALL_TIMEOUT_MS,
  ): Promise<O> {
    const client = await link.connected();
    try {
      return output.decode(
        await client.call(GuestService.name, name, input.encode(request), {
          ...(timeoutMs !== NO_LIMIT && { timeoutMs }),
        }),
      );
    } catch (error) {
      throw asSandboxError(error);
    }
  }
  const nothing = { decode: () => undefined };

  return {
    processes: createMonitorCalls(link),
    async configure(request, timeoutMs) {
      const until = Date.now() + timeoutMs;
      await link.reached(timeoutMs, true);
      return await call(
        "Configure",
        wire.ConfigureRequest,
        { ...request, now: hostTime() } as ConfigureRequest,
        wire.ConfigureResponse,
        Math.max(1000, until - Date.now()),
      );
    },
    openIo: (key, wanted) => call("OpenIo", wire.OpenIoRequest, { key, ...wanted }, wire.OpenIoResponse),
    readOutput: (key, fd, offset, from) =>
      call("ReadOutput", wire.ReadOutputRequest, { key, fd, offset, from }, wire.ReadOutputResponse, NO_LIMIT),
    writeInput: (key, offset, data, end) =>
      call("WriteInput", wire.WriteInputRequest, { key, offset, data, end }, nothing, NO_LIMIT),
    dial: (key, port) => call("Dial", wire.DialRequest, { key, port, session: SESSION }, nothing, DIAL_TIMEOUT_MS),
    closeOutput: (key, fd) => call("CloseOutput", wire.CloseOutputRequest, { key, fd }, nothing),
    closeIo: (key) => call("CloseIo", wire.CloseIoRequest, { key }, nothing),
    writeFiles: (files) => call("WriteFiles", wire.WriteFilesRequest, { files }, nothing),
    async readFiles(paths) {
      const { files } = await call("ReadFiles", wire.ReadFilesRequest, { paths }, wire.ReadFilesResponse);
      const asked = new Set(paths);
      return new Map(
        files
          .filter(({ path }) => asked.has(path))
          .map(({ path, content }) => [path, Buffer.from(content.subarray(0, FILE_BYTES)).toString()]),
      );
    },
    remove: (paths) => call("Remove", wire.RemoveRequest, { paths }, nothing),
    waitForOom: (cgroup, count, key) =>
      call("WaitForOom", wire.WaitForOomRequest, { cgroup, count, key }, wire.WaitForOomResponse, NO_LIMIT),
    setClock: () => call("SetClock", wire.SetClockRequest, { now: hostTime() }, nothing),
    online: () => call("Online", { encode: () => new Uint8Array(0) }, {}, wire.OnlineResponse),
    openDrive: (address, mount) =>
      call("OpenDrive", wire.OpenDriveRequest, { address, ...mount }, wire.OpenDriveResponse, DRIVE_TIMEOUT_MS),
    closeDrive: (address) => call("CloseDrive", wire.CloseDriveRequest, { address }, nothing, DRIVE_TIMEOUT_MS),
    powerOff: () => call("PowerOff", { encode: () => new Uint8Array(0) }, {}, nothing, 1000),
    async ping(timeoutMs) {
      const client = await link.reached(timeoutMs);
      try {
        await client.call(GuestService.name, "ReadFiles", new Uint8Array(0), { timeoutMs });
      } catch (error) {
        throw asSandboxError(error);
      }
    },
    silence: (words) => link.silence(words),
    heard: () => link.heard(),
    get closed() {
      return link.closed;
    },
    close: () => link.close(),
  };
}

function hostTime(): { seconds: number; nanos: number } {
  const now = Date.now();
  return { seconds: Math.floor(now / 1000), nanos: (now % 1000) * 1_000_000 };
}
