import { hierarchies } from "@kuasar/framework/cgroup/hierarchies";
import { limitCgroup } from "@kuasar/framework/cgroup/pod-cgroup";
import { errorText, unimplemented } from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import type { OciResources } from "@kuasar/framework/oci/spec";
import type { WholeSandbox } from "@kuasar/framework/sandbox/sandboxer";
import type { Hypervisor } from "../hypervisor/hypervisor.ts";
import type { Machines } from "./machine.ts";
import { machineFolder } from "./machine-folder.ts";

export interface WholeMachineParts {
  readonly hypervisor: Hypervisor;
  readonly machines: Machines;
  /** Of the machine's own processes on the host; "" for none. */
  readonly cgroupOf: (sandbox: Parameters<WholeSandbox["update"]>[0]) => string;
  readonly log: Logger;
}

/** A pod's machine as one thing. */
export function createWholeMachine({ hypervisor, machines, cgroupOf, log }: WholeMachineParts): WholeSandbox {
  return {
    async pause(sandbox) {
      if (!hypervisor.capabilities().pause) throw unimplemented(`${hypervisor.name} cannot pause a machine`);
      await hypervisor.pause(machineFolder(sandbox));
    },

    async resume(sandbox) {
      await hypervisor.resume(machineFolder(sandbox));
      try {
        // It does not know how long it stood still.
        await machines.of(sandbox).guest.setClock();
      } catch (error) {
        log.warn({ sandbox: sandbox.id, err: errorText(error) }, "the clock of a machine that goes on is not set");
      }
    },

    async update(sandbox, resources) {
      const { cpu } = resources as OciResources;
      const cgroup = cgroupOf(sandbox);
      if (cpu && cgroup !== "") limitCgroup(hierarchies(), cgroup, { cpu });
    },
  };
}
