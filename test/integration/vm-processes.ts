import { type Process, processTable } from "@kuasar/install/process-table";

/** The processes of a pod's virtual machine on this host. */
export interface MachineProcesses {
  readonly hypervisor: Process;
  readonly virtiofsd: Process;
}

/** Undefined while one of them is not there. */
export function findMachine(podSandboxId: string): MachineProcesses | undefined {
  const processes = processTable().filter(({ state }) => state !== "Z");
  const hypervisor = processes.find(({ argv }) => argv.some((word) => word.startsWith(`${podSandboxId},process=`)));
  const socket = /path=([^,]+share\.sock)/.exec(hypervisor?.argv.join(" ") ?? "")?.[1];
  const virtiofsd = processes.find(({ argv }) => socket !== undefined && argv.includes(`--socket-path=${socket}`));
  return hypervisor && virtiofsd && { hypervisor, virtiofsd };
}

export function machineOf(podSandboxId: string): MachineProcesses {
  const found = findMachine(podSandboxId);
  if (!found) throw new Error(`pod ${podSandboxId}: expected a hypervisor and a virtiofsd that run`);
  return found;
}

/** Any machine's hypervisor, while a pod's id is not known yet. */
export function anyHypervisor(): Process | undefined {
  return processTable().find(
    ({ argv, state }) => state !== "Z" && argv.some((word) => /,process=kuasar-vm$/.test(word)),
  );
}
