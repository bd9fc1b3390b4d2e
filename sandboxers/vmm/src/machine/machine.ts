import { unavailable } from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import { connectGuest, type Guest } from "../guest/guest.ts";
import type { AgentAddress } from "../hypervisor/hypervisor.ts";
import type { StdioPump } from "../task/stdio-pump.ts";
import { keepClock } from "./keep-clock.ts";
import { type Liveness, watchLiveness } from "./liveness.ts";

/** The machine of a pod as it runs: what this process has of it, all of which can be had again from the record. */
export interface RunningMachine {
  readonly guest: Guest;
  /** By processes' keys. */
  readonly pumps: Map<string, StdioPump>;
  readonly liveness: Liveness;
  /** Containers that have been killed and have not ended yet. */
  readonly dying: Set<string>;
  /** How often the guest has failed to remove a container. */
  readonly failedDeletes: Map<string, number>;
}

export interface Machines {
  /** UNAVAILABLE for a pod whose machine has not been started, or has ended. */
  of(sandbox: Sandbox): RunningMachine;
  /** Whether there is nobody in the pod's machine who could be asked, or ever will be. */
  isOver(sandbox: Sandbox): boolean;
  /** Undefined where nothing has been asked of the machine by this process, or it is over. */
  known(sandbox: Sandbox): RunningMachine | undefined;
  /** Of a machine that has just been started. */
  add(sandbox: Sandbox, guest: Guest): void;
  /** Calls that wait for the machine fail, and no more are made. */
  end(sandbox: Sandbox): void;
}

export function createMachines(log: Logger): Machines {
  const machines = new Map<string, RunningMachine & { leaveClock(): void }>();
  const over = new WeakSet<Sandbox>();
  const agentOf = ({ record }: Sandbox) => record.engine.agent as unknown as AgentAddress | undefined;

  function add(sandbox: Sandbox, guest: Guest): RunningMachine {
    const { key } = sandbox;
    over.delete(sandbox);
    const machine = {
      guest,
      pumps: new Map<string, StdioPump>(),
      dying: new Set<string>(),
      failedDeletes: new Map<string, number>(),
      liveness: watchLiveness(sandbox, guest, log),
      leaveClock: keepClock(sandbox, guest, log),
    };
    machines.set(key, machine);
    return machine;
  }
  const isOver = (sandbox: Sandbox) =>
    over.has(sandbox) || sandbox.exited.settled || sandbox.record.state === "stopped" || agentOf(sandbox) === undefined;

  return {
    add,
    isOver,
    known: ({ key }) => machines.get(key),
    of(sandbox) {
      const agent = agentOf(sandbox);
      if (!agent || isOver(sandbox)) {
        throw unavailable(`sandbox ${sandbox.id}: its machine ${agent ? "has ended" : "has not been started"}`);
      }
      return machines.get(sandbox.key) ?? add(sandbox, connectGuest(agent));
    },
    end(sandbox) {
      const { key } = sandbox;
      over.add(sandbox);
      const machine = machines.get(key);
      if (!machine) return;
      machines.delete(key);
      for (const pump of machine.pumps.values()) pump.close();
      machine.leaveClock();
      machine.liveness.leave();
      machine.guest.close();
    },
  };
}
