import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cachedGuestImage } from "@kuasar/install/guest-image";
import { cacheDirectory } from "@kuasar/install/parts";
import { Pod } from "@kuasar/install/pod";
import { processorTime, processTable, proportionalMemory } from "@kuasar/install/process-table";
import { programPath } from "@kuasar/install/programs";
import { VMM_CONFIG_DEFAULTS } from "@kuasar/vmm-sandboxer/config";
import { createQemu } from "@kuasar/vmm-sandboxer/hypervisor/qemu/qemu";
import { guestImageIn } from "@kuasar/vmm-sandboxer/machine/guest-image";
import { measureTscKhz } from "@kuasar/vmm-sandboxer/vmm-sandboxer";
import { Command } from "commander";
import { openArena } from "./arena.ts";
import { type BareBoot, type Boot, createBareBoot } from "./bare-boot.ts";
import { count, type Finding, publish } from "./report.ts";
import { median, timed } from "./statistics.ts";

/** Shims and sandboxers tidy up when nothing happens. */
const SETTLE_MS = 2_000;

interface BenchOptions {
  readonly pods: number;
  readonly json: string;
}

async function openVmmArena() {
  const { folder, kernel } = await cachedGuestImage();
  const hypervisor = guestImageIn(folder);
  const vmm = { program: "vmm-sandboxer", config: { hypervisor: { ...hypervisor } }, args: ["--log-level", "debug"] };
  const arena = await openArena({ vmm });
  return {
    ...arena,
    sandboxer: arena.sandboxer("vmm").process,
    kernel,
    config: { ...VMM_CONFIG_DEFAULTS.hypervisor, ...hypervisor },
  };
}

type Arena = Awaited<ReturnType<typeof openVmmArena>>;

interface PodTimes {
  readonly runPod: number;
  readonly create: number;
  readonly start: number;
  readonly exec: number;
  readonly stop: number;
  readonly remove: number;
  /** Of the hypervisor's processor, by when the pod was there, its container ran, and a command had run in that. */
  readonly booted: number;
  readonly running: number;
  readonly execed: number;
}

async function podTimes({ containerd }: Arena): Promise<PodTimes> {
  const { cri, cgroupParent } = containerd;
  const run = await timed(() => Pod.run(cri, { handler: "vmm", cgroupParent, network: "cni" }));
  const pod = run.value;
  const booted = hypervisorTime(pod.id);
  const create = await timed(() => pod.create({ command: ["sleep", "100000"] }));
  const start = await timed(() => cri.runtime.startContainer({ containerId: create.value }));
  const running = hypervisorTime(pod.id);
  const exec = await timed(() => pod.exec(create.value, "true"));
  const execed = hypervisorTime(pod.id);
  const stop = await timed(() => pod.stop());
  const remove = await timed(() => cri.runtime.removePodSandbox({ podSandboxId: pod.id }));
  return {
    ...{ runPod: run.ms, create: create.ms, start: start.ms, exec: exec.ms, stop: stop.ms, remove: remove.ms },
    ...{ booted, running, execed },
  };
}

function hypervisorTime(podId: string): number {
  const [machine] = processTable().filter(({ argv }) => argv.some((word) => word.startsWith(`${podId},process=`)));
  if (!machine) throw new Error(`pod ${podId} has no hypervisor`);
  return processorTime(machine.pid);
}

/** What is there for a pod beside its machine's memory. */
async function memoryOfPod({ containerd, sandboxer }: Arena): Promise<Finding[]> {
  const { cri, cgroupParent } = containerd;
  const pod = await Pod.run(cri, { handler: "vmm", cgroupParent, network: "cni" });
  try {
    await pod.start({ command: ["sleep", "100000"] });
    await sleep(SETTLE_MS);
    const processes = processTable().filter(({ argv }) => argv.some((word) => word.includes(pod.id)));
    const of = (name: string) =>
      processes
        .filter(({ argv }) => argv[0]?.includes(name))
        .reduce((sum, { pid }) => sum + proportionalMemory(pid, "memfd:"), 0) / 1024;
    const value = (what: string, megabytes: number): Finding => ({
      what,
      unit: "MB",
      baseline: 0,
      candidate: megabytes,
    });
    return [
      value("memory a pod: shim (PSS)", of("containerd-shim")),
      value("virtiofsd (PSS)", of("virtiofsd")),
      value("QEMU without the guest's memory (PSS)", of("qemu-system")),
      value("the sandboxer, of all pods (PSS)", proportionalMemory(sandboxer.pid ?? 0) / 1024),
    ];
  } finally {
    await pod.remove();
  }
}

interface BareBoots {
  /** Debian's kernel as its package has it. */
  readonly asItComes: BareBoot;
  /** The one that pods boot, unpacked, and told the same. */
  readonly asOurs: BareBoot;
}

async function measure(arena: Arena, bare: BareBoots, { pods }: BenchOptions): Promise<Finding[]> {
  const boots: Boot[] = [];
  const ours: Boot[] = [];
  const samples: PodTimes[] = [];
  // The first of each reads its programs from the disk.
  await bare.asItComes.boot();
  await bare.asOurs.boot();
  await podTimes(arena);
  for (let index = 0; index < pods; index++) {
    boots.push(await bare.asItComes.boot());
    ours.push(await bare.asOurs.boot());
    samples.push(await podTimes(arena));
  }
  const baseline = median(boots.map(({ ms }) => ms));
  const processor = (what: string, name: "booted" | "running" | "execed"): Finding => ({
    what,
    unit: "ms",
    baseline: median(boots.map(({ processorMs }) => processorMs)),
    candidate: median(samples.map((sample) => sample[name])),
  });
  const line = (what: string, value: number): Finding => ({ what, unit: "ms", baseline, candidate: value });
  const of = (times: (keyof PodTimes)[]) =>
    median(samples.map((sample) => times.reduce((sum, name) => sum + sample[name], 0)));
  return [
    {
      ...line("until a container runs", of(["runPod", "create", "start"])),
      target: { kind: "ratio", bound: "at most", limit: 1.3 },
    },
    line("the kernel alone, unpacked and told what ours is", median(ours.map(({ ms }) => ms))),
    line("  pod start (runp)", of(["runPod"])),
    line("  container create", of(["create"])),
    line("  container start", of(["start"])),
    processor("QEMU's processor time, pod started", "booted"),
    processor("QEMU's processor time, container runs", "running"),
    processor("QEMU's processor time, after an exec", "execed"),
    line("exec", of(["exec"])),
    line("pod stop", of(["stop"])),
    line("pod remove", of(["remove"])),
    ...(await memoryOfPod(arena)),
  ];
}

async function bench(options: BenchOptions): Promise<void> {
  const arena = await openVmmArena();
  const { config, containerd } = arena;
  const hypervisor = createQemu(config, () => measureTscKhz(programPath("vmm-task")));
  const { busybox } = containerd.parts;
  const bare = {
    asItComes: createBareBoot({ hypervisor, config, kernel: arena.kernel, asItComes: true, busybox }),
    asOurs: createBareBoot({ hypervisor, config, kernel: config.kernel_path, asItComes: false, busybox }),
  };
  const findings = await measure(arena, bare, options).finally(async () => {
    for (const each of Object.values(bare)) each.close();
    await arena.close();
  });
  await publish(findings, ["bare boot", "kuasar, a pod"], options.json);
}

const program = new Command("bench-vmm")
  .description("compares pods in virtual machines with the bare boot of the same kernel by the same QEMU, in one run")
  .option("--pods <number>", "pods one after another", count, 10)
  .option("--json <file>", "where the figures go", join(cacheDirectory(), "bench-vmm.json"))
  .action(bench);

program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
