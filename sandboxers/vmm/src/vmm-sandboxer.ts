import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { hierarchies } from "@kuasar/framework/cgroup/hierarchies";
import { createPodCgroup } from "@kuasar/framework/cgroup/pod-cgroup";
import { removeCgroup } from "@kuasar/framework/cgroup/remove-cgroup";
import {
  ErrorCode,
  errorText,
  failedPrecondition,
  invalidArgument,
  isCode,
} from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import { readSpec } from "@kuasar/framework/oci/read-spec";
import type { OciSpec } from "@kuasar/framework/oci/spec";
import { planFromPodConfig } from "@kuasar/framework/pause/plan-from-pod-config";
import { planFromSpec } from "@kuasar/framework/pause/plan-from-spec";
import { removeStandIns } from "@kuasar/framework/pod-files/mount-sources";
import { createPodFiles, releasePodFiles } from "@kuasar/framework/pod-files/pod-files";
import { goPlatform } from "@kuasar/framework/sandbox/platform";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Sandboxer, SandboxRequest } from "@kuasar/framework/sandbox/sandboxer";
import type { JsonObject } from "@kuasar/framework/store/json";
import { createSealedFiles } from "@kuasar/framework/store/sealed-files";
import type { VmmConfig } from "./config.ts";
import { createMachineExec } from "./debug/machine-exec.ts";
import { createQemu } from "./hypervisor/qemu/qemu.ts";
import { modulesBeside } from "./machine/guest-image.ts";
import { createMachines } from "./machine/machine.ts";
import { endProcesses, HYPERVISOR_KEY, kill, machineEnd } from "./machine/machine-end.ts";
import { machineFacts, noteMachineFacts } from "./machine/machine-facts.ts";
import { hypervisorFolder, machineFolder, removeMachineFolder } from "./machine/machine-folder.ts";
import { createMachineMetrics } from "./machine/machine-metrics.ts";
import { postMortem } from "./machine/post-mortem.ts";
import { startMachine } from "./machine/start-machine.ts";
import { createWholeMachine } from "./machine/whole-machine.ts";
import { leavePodNetwork } from "./network/leave-pod-network.ts";
import { forwardSocket, servePortForward } from "./network/port-forward.ts";
import { closeShare, openShare } from "./share/share-folder.ts";
import { createMachineGrowth } from "./size/machine-growth.ts";
import { largestSize, machineSize } from "./size/machine-size.ts";
import { NO_SIZE, podSize, type Size } from "./size/pod-size.ts";
import { createContainerStorage } from "./storage/container-storage.ts";
import { createPodDrives } from "./storage/pod-drives.ts";
import { createStorageFolders } from "./storage/storage-folders.ts";
import { createVmmTasks } from "./task/vmm-tasks.ts";

const MEBIBYTE = 1024 * 1024;
/** For the answer to reach a caller who has set a deadline. */
const ANSWER_MS = 1_000;
/** Of a machine that would have been given what another one has. */
const BOOT_ATTEMPTS = 3;

/** What of a pod's request its machine is made from. */
interface PodPlan {
  readonly netns: string;
  readonly hostname: string;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly cgroup: string;
  /** What its containers may use together. */
  readonly size: Size;
}

/** Pods as virtual machines. */
export function createVmmSandboxer(config: VmmConfig, vmmTask: string, log: Logger, dir: string): Sandboxer {
  const hypervisor = createQemu(config, () => measureTscKhz(vmmTask));
  const machines = createMachines(log);
  const metrics = createMachineMetrics();
  const largest = largestSize(config);
  const folders = createStorageFolders(config.storage_path, dir);
  const images = createSealedFiles(folders.images, config.rootfs_images_mb * MEBIBYTE, log);
  const storage = createContainerStorage({
    machines,
    drives: createPodDrives(hypervisor, machines, log),
    folders,
    images,
    rootfs: config.rootfs === "Block" ? "Block" : "VirtioFS",
    writableBytes: config.rootfs_writable_mb * MEBIBYTE,
    log,
  });
  /** Starts that are under way. */
  const starts = new Map<Sandbox, AbortController>();
  /** Those whose end was asked for. */
  const stopped = new WeakSet<Sandbox>();
  const growth = createMachineGrowth(config, hypervisor, (sandbox) => planOf(sandbox).size);

  async function boot(sandbox: Sandbox, plan: PodPlan, timeoutMs: number, signal: AbortSignal): Promise<number> {
    const cgroupProcs = plan.cgroup === "" ? [] : createPodCgroup(hierarchies(), plan.cgroup, undefined);
    const { emulated } = hypervisor.capabilities();
    const { view } = await openShare(sandbox, modulesBeside(config.initrd_path));
    const size = machineSize(config, plan.size, largest);
    if (emulated) log.debug({ sandbox: sandbox.id }, `the machine is ${emulated}`);
    const request = {
      name: sandbox.id,
      directory: machineFolder(sandbox),
      own: hypervisorFolder(sandbox),
      share: view,
      netns: plan.netns,
      hostname: plan.hostname,
      sysctls: plan.sysctls,
      cgroupProcs,
      size,
      largest,
    };
    const limit = timeoutMs === 0 ? Number.POSITIVE_INFINITY : Math.max(timeoutMs - ANSWER_MS, timeoutMs / 2);
    const facts = { hypervisor: hypervisor.name, accelerator: emulated || "KVM", emulated: emulated !== "", ...size };
    let began = 0;
    const machine = await startMachine(
      sandbox.monitor,
      hypervisor,
      config,
      request,
      { timeoutMs: Math.min(config.boot_timeout_in_ms, Math.ceil(limit)), signal },
      ({ agent, pid, channel }) => {
        began = performance.now();
        remember(sandbox, { agent: { ...agent }, machinePid: pid });
        noteMachineFacts(sandbox, { ...facts, channel, kernel: "", kernelBytes: 0 });
      },
    );
    metrics.booted((performance.now() - began) / 1000);
    const { channel, kernel } = machine;
    const kernelBytes = Math.max(0, size.memoryMiB * MEBIBYTE - machine.memoryBytes);
    noteMachineFacts(sandbox, { ...facts, channel, kernel, kernelBytes });
    if (machine.leftOut.length > 0) {
      log.warn({ sandbox: sandbox.id, leftOut: machine.leftOut }, "a machine does not have all of its pod's network");
    }
    machines.add(sandbox, machine.guest);
    if (plan.netns !== "") await takeConnections(sandbox, plan.netns, log);
    return machine.pid;
  }

  async function undoStart(sandbox: Sandbox): Promise<void> {
    machines.end(sandbox);
    await endProcesses(sandbox.monitor);
    await closeShare(sandbox);
    const { netns } = planOf(sandbox);
    if (netns !== "") await leavePodNetwork(sandbox.monitor, netns);
    await removeMachineFolder(sandbox);
  }

  return {
    kind: "vmm",
    processKey: HYPERVISOR_KEY,
    holdsTasks: true,
    platform: goPlatform(),
    whole: createWholeMachine({ hypervisor, machines, growth, cgroupOf: (sandbox) => planOf(sandbox).cgroup, log }),
    metrics: metrics.all,
    execInMachine: createMachineExec(config, machines),
    tasks: createVmmTasks(machines, storage, growth, log),

    tidy() {
      images.tidy();
      folders.tidy();
    },

    parseOptions(options) {
      if (options !== undefined && options.value.length > 0 && !options.typeUrl.includes("runtimeoptions")) {
        throw invalidArgument(`options of type ${options.typeUrl}: expected runtimeoptions.v1.Options`);
      }
      return {};
    },

    async create(sandbox, request) {
      const plan = podPlan(request);
      remember(sandbox, { plan: plan as unknown as JsonObject });
      hypervisor.capabilities();
      if (request.pod) {
        const files = await createPodFiles(podFilesFolder(sandbox), request.pod, sandbox.monitor);
        remember(sandbox, { podFiles: { ...files } });
      }
    },

    async start(sandbox, timeoutMs) {
      const start = new AbortController();
      starts.set(sandbox, start);
      try {
        for (let attempt = 1; ; attempt++) {
          try {
            return await boot(sandbox, planOf(sandbox), timeoutMs, start.signal);
          } catch (error) {
            log.warn({ sandbox: sandbox.id, err: errorText(error) }, "a machine did not start");
            await undoStart(sandbox).catch((left: unknown) =>
              log.warn(
                { sandbox: sandbox.id, err: errorText(left) },
                "something is left of a machine that did not start",
              ),
            );
            if (!isCode(error, ErrorCode.ABORTED) || attempt === BOOT_ATTEMPTS) throw error;
          }
        }
      } finally {
        starts.delete(sandbox);
      }
    },

    describe(sandbox) {
      const silentSince = machines.known(sandbox)?.liveness.silentSince;
      const silence = silentSince === undefined ? {} : { silentSince: new Date(silentSince).toISOString() };
      return { machine: { ...machineFacts(sandbox), ...silence } };
    },

    interruptStart: (sandbox) => starts.get(sandbox)?.abort(),
    undoStart,

    async wait(sandbox) {
      const forward = servePortForward(forwardSocket(machineFolder(sandbox)), machines.of(sandbox).guest, log);
      try {
        const end = await machineEnd(sandbox.monitor);
        machines.end(sandbox);
        if (stopped.has(sandbox)) return end.exit;
        return { ...end.exit, reason: await postMortem(end, machineFolder(sandbox)) };
      } finally {
        forward.close();
      }
    },

    async stop(sandbox) {
      // Its containers have ended, or shall; what else is in it has nothing to put in order.
      stopped.add(sandbox);
      machines.end(sandbox);
      await kill(sandbox.monitor, HYPERVISOR_KEY);
    },

    async remove(sandbox) {
      machines.end(sandbox);
      await endProcesses(sandbox.monitor);
      await closeShare(sandbox);
      folders.removeAll(sandbox);
      await releasePodFiles(podFilesFolder(sandbox), sandbox.monitor);
      removeStandIns((sandbox.record.engine.standIns ?? []) as string[]);
      await removeMachineFolder(sandbox);
      const { cgroup } = planOf(sandbox);
      if (cgroup !== "") await removeCgroup(hierarchies(), { common: cgroup });
    },
  };
}

/** A pod does without port-forward where the kernel, or the shim, cannot. */
async function takeConnections(sandbox: Sandbox, netns: string, log: Logger): Promise<void> {
  try {
    await sandbox.monitor.forward(HYPERVISOR_KEY, netns, forwardSocket(machineFolder(sandbox)));
  } catch (error) {
    log.warn({ sandbox: sandbox.id, err: errorText(error) }, "port-forward to this pod does not work");
  }
}

const podFilesFolder = ({ directory }: Sandbox) => join(directory, "files");

/** A container without a pod has a machine to itself, which is what its spec asks for. */
function podPlan(request: SandboxRequest): PodPlan {
  const spec = request.pod ? undefined : specOf(request);
  const plan = request.pod
    ? planFromPodConfig(request.pod, request.id, request.netnsPath)
    : planFromSpec(spec ?? {}, request.id);
  const network = plan.namespaces.find(({ type }) => type === "network");
  if (network === undefined) {
    throw failedPrecondition(`sandbox ${request.id}: a virtual machine cannot have the host's network (hostNetwork)`);
  }
  if (!plan.namespaces.some(({ type }) => type === "ipc")) {
    throw failedPrecondition(`sandbox ${request.id}: a virtual machine cannot have the host's ipc (hostIPC)`);
  }
  if (plan.namespaces.some(({ type }) => type === "user")) {
    throw failedPrecondition(`sandbox ${request.id}: a virtual machine cannot have a user namespace of the host's`);
  }
  const { hostname, sysctls, cgroup } = plan;
  return { netns: network.path, hostname, sysctls, cgroup, size: podSize(request.lone, request.pod, spec) };
}

function specOf({ bundle, id }: SandboxRequest): OciSpec {
  const spec = readSpec(bundle);
  if (spec === undefined)
    throw invalidArgument(`sandbox ${id}: expected a pod's config or a bundle with a config.json`);
  return spec;
}

function planOf({ record }: Sandbox): PodPlan {
  const none = { netns: "", hostname: "", sysctls: {}, cgroup: "", size: NO_SIZE };
  return { ...none, ...(record.engine.plan as unknown as PodPlan | undefined) };
}

function remember(sandbox: Sandbox, change: JsonObject): void {
  sandbox.update({ engine: { ...sandbox.record.engine, ...change } });
}

let tscKhz: number | undefined;

/** Of this host's time stamp counter, which an emulated machine's is; measured once. */
export function measureTscKhz(vmmTask: string): number {
  tscKhz ??= Number(execFileSync(vmmTask, ["--tsc-khz"], { encoding: "utf8", timeout: 5_000 }));
  return tscKhz;
}
