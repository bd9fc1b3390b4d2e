import { ErrorCode, failedPrecondition, isCode } from "@kuasar/framework/error/sandbox-error";
import type { MachineCommand, MachineProcess } from "@kuasar/framework/sandbox/machine-process";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { VmmConfig } from "../config.ts";
import type { Guest } from "../guest/guest.ts";
import type { Machines } from "../machine/machine.ts";

const FOLDER = "/run/kuasar/debug";
const CGROUPS = "/sys/fs/cgroup/kuasar-debug";
/** At once, in one machine. */
const MOST_PROCESSES = 8;

/** What of the guest's is for one process at a time: what a killed sandboxer has left in it goes when it is used again. */
interface Slot {
  /** No task's: those have no colon. */
  readonly key: string;
  readonly folder: string;
  /** A cgroup, whose processes end together. */
  readonly cgroup: string;
}

/**
 * Processes in a machine for whoever looks into it: `kuasar exec`. The guest has no shell, so the program comes along. As
 * Kata's debug console they can see and change all that the pod has, and are off unless the config's `debug` is true.
 */
export function createMachineExec(
  config: Pick<VmmConfig, "debug">,
  machines: Machines,
): (sandbox: Sandbox, command: MachineCommand) => Promise<MachineProcess> {
  const used = new Map<string, Set<number>>();
  /** Machines in which an earlier process of this sandboxer has left nothing running. */
  const swept = new WeakSet<Sandbox>();

  async function sweep(sandbox: Sandbox, guest: Guest): Promise<void> {
    if (swept.has(sandbox)) return;
    swept.add(sandbox);
    await killAll(
      guest,
      Array.from({ length: MOST_PROCESSES }, (_, i) => slotOf(i + 1)),
    );
  }

  function takeSlot(sandbox: Sandbox): Slot & { leave(): void } {
    const numbers = used.get(sandbox.key) ?? new Set<number>();
    const free = Array.from({ length: MOST_PROCESSES }, (_, i) => i + 1).find((number) => !numbers.has(number));
    if (free === undefined) {
      throw failedPrecondition(`sandbox ${sandbox.id} has ${MOST_PROCESSES} processes of kuasar exec already`);
    }
    used.set(sandbox.key, numbers.add(free));
    const leave = () => {
      numbers.delete(free);
      if (numbers.size === 0) used.delete(sandbox.key);
    };
    return { ...slotOf(free), leave };
  }

  return async (sandbox, command) => {
    if (!config.debug) {
      throw failedPrecondition(
        `kuasar exec into sandbox ${sandbox.id}: not allowed, "debug" in [hypervisor] of the sandboxer's config is false`,
      );
    }
    const { guest } = machines.of(sandbox);
    await sweep(sandbox, guest);
    const slot = takeSlot(sandbox);
    const clear = () => clearSlot(guest, slot, command.programName);
    try {
      await clear();
      const process = await start(guest, slot, command);
      const close = async () => {
        try {
          // Where the machine has ended, all of that has.
          if (!sandbox.exited.settled) await clear();
        } finally {
          slot.leave();
        }
      };
      return { ...process, close };
    } catch (error) {
      slot.leave();
      throw error;
    }
  };
}

async function start(
  guest: Guest,
  { key, folder, cgroup }: Slot,
  { program, programName, args, env, terminal, size }: MachineCommand,
): Promise<Omit<MachineProcess, "close">> {
  const path = `${folder}/${programName}`;
  await guest.writeFiles([{ path, content: program, mode: 0o700 }]);
  const paths = await guest.openIo(key, { stdin: true, stdout: true, stderr: !terminal });
  await guest.processes.spawn({
    key,
    argv: [path, ...args],
    env: [`PATH=${folder}:/usr/sbin:/usr/bin:/sbin:/bin`, "HOME=/root", ...env],
    cwd: "/",
    stdio: { ...paths, terminal, consoleSocket: "", uid: 0, gid: 0 },
    namespaces: [],
    uidMappings: [],
    gidMappings: [],
    cgroupProcs: [`${cgroup}/cgroup.procs`],
    hostname: "",
    domainname: "",
    sysctls: {},
    emptyRoot: false,
    parentDeathSignal: 0,
  });
  const resize: MachineProcess["resize"] = ({ columns, rows }) => guest.processes.resize(key, columns, rows);
  if (size) await resize(size);
  const exited = guest.processes.wait(key).then(({ exit }) => exit.status);
  exited.catch(() => {});
  let written = 0;
  return {
    stdout: output(guest, key, 1),
    stderr: terminal ? nothing() : output(guest, key, 2),
    exited,
    resize,
    async writeInput(data, end) {
      await guest.writeInput(key, written, data, end);
      written += data.length;
    },
  };
}

async function* output(guest: Guest, key: string, fd: 1 | 2): AsyncGenerator<Uint8Array> {
  for (let offset = 0, ended = false; !ended; ) {
    const { data, end } = await guest.readOutput(key, fd, offset, offset);
    if (data.length > 0) yield data;
    offset += data.length;
    ended = end;
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

const slotOf = (number: number): Slot => ({
  key: `debug:${number}`,
  folder: `${FOLDER}/${number}`,
  cgroup: `${CGROUPS}/${number}`,
});

/** Makes the cgroups where there are none. */
async function killAll(guest: Guest, slots: readonly Slot[]): Promise<void> {
  const content = Buffer.from("1");
  await guest.writeFiles(slots.map(({ cgroup }) => ({ path: `${cgroup}/cgroup.kill`, content, mode: 0 })));
}

/** Harmless where there is nothing. */
async function clearSlot(guest: Guest, slot: Slot, programName: string): Promise<void> {
  const { key, folder } = slot;
  await killAll(guest, [slot]);
  try {
    await guest.processes.wait(key);
  } catch (error) {
    if (!isCode(error, ErrorCode.NOT_FOUND)) throw error;
  }
  await Promise.all([guest.processes.release(key), guest.closeIo(key)]);
  await guest.remove([`${folder}/${programName}`]);
}
