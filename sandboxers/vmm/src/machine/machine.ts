import { unavailable } from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import { connectGuest, type Guest } from "../guest/guest.ts";
import type { AgentAddress } from "../hypervisor/hypervisor.ts";
import type { StdioPump } from "../task/stdio-pump.ts";
import { keepClock } from "./keep-clock.ts";

/** The machine of a pod as it runs: what this process has of it, all of which can be had again from the record. */
export interface RunningMachine {
  readonly guest: Guest;
  /** By processes' keys. */
  readonly pumps: Map<string, StdioPump>;
}

export interface Machines {
  /** UNAVAILABLE for a pod whose machine has not been started. */
  of(sandbox: Sandbox): RunningMachine;
  /** Of a machine that has just been started. */
  add(sandbox: Sandbox, guest: Guest): void;
  forget(sandbox: Sandbox): void;
}

export function createMachines(log: Logger): Machines {
  const machines = new Map<string, RunningMachine & { leaveClock(): void }>();
  function add(sandbox: Sandbox, guest: Guest): RunningMachine {
    const machine = { guest, pumps: new Map<string, StdioPump>(), leaveClock: keepClock(sandbox, guest, log) };
    machines.set(sandbox.key, machine);
    return machine;
  }
  return {
    add,
    of(sandbox) {
      const known = machines.get(sandbox.key);
      if (known) return known;
      const agent = sandbox.record.engine.agent as AgentAddress | undefined;
      if (!agent) throw unavailable(`sandbox ${sandbox.id} has no machine`);
      return add(sandbox, connectGuest(agent));
    },
    forget({ key }) {
      const machine = machines.get(key);
      if (!machine) return;
      machines.delete(key);
      for (const pump of machine.pumps.values()) pump.close();
      machine.leaveClock();
      machine.guest.close();
    },
  };
}
