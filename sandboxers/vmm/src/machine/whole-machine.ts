import { hierarchies } from "@kuasar/framework/cgroup/hierarchies";
import { limitCgroup } from "@kuasar/framework/cgroup/pod-cgroup";
import { errorText, failedPrecondition, unimplemented } from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import type { OciResources } from "@kuasar/framework/oci/spec";
import type { WholeSandbox } from "@kuasar/framework/sandbox/sandboxer";
import type { Hypervisor } from "../hypervisor/hypervisor.ts";
import type { MachineGrowth } from "../size/machine-growth.ts";
import { limitsOf } from "../size/pod-size.ts";
import type { Machines } from "./machine.ts";
import { hypervisorFolder } from "./machine-folder.ts";

export interface WholeMachineParts {
  readonly hypervisor: Hypervisor;
  readonly machines: Machines;
  readonly growth: MachineGrowth;
  /** Of the machine's own processes on the host; "" for none. */
  readonly cgroupOf: (sandbox: Parameters<WholeSandbox["update"]>[0]) => string;
  readonly log: Logger;
}

/** A pod's machine as one thing. */
export function createWholeMachine({ hypervisor, machines, growth, cgroupOf, log }: WholeMachineParts): WholeSandbox {
  return {
    async pause(sandbox) {
      if (!hypervisor.capabilities().pause) throw unimplemented(`${hypervisor.name} cannot pause a machine`);
      await hypervisor.setState(hypervisorFolder(sandbox), "paused");
    },

    async resume(sandbox) {
      await hypervisor.setState(hypervisorFolder(sandbox), "running");
      try {
        // It does not know how long it stood still.
        await machines.of(sandbox).guest.setClock();
      } catch (error) {
        log.warn({ sandbox: sandbox.id, err: errorText(error) }, "the clock of a machine that goes on is not set");
      }
    },

    async update(sandbox, resources) {
      if (sandbox.record.state === "paused") throw failedPrecondition(`sandbox ${sandbox.id} is paused`);
      const { cpu } = resources as OciResources;
      const limits = limitsOf(resources as OciResources);
      await growth.makeRoomForPod(sandbox, machines.of(sandbox).guest, limits);
      growth.requireWithin(sandbox, `sandbox ${sandbox.id}`, limits);
      const cgroup = cgroupOf(sandbox);
      // Its processors on the host; its memory is the machine's own, and a limit below that would be its end.
      if (cpu && cgroup !== "") limitCgroup(hierarchies(), cgroup, { cpu });
    },
  };
}
