// What files cost in a pod's virtual machine: many small ones and a large one, on each kind of storage, in one run.
import { createHash, randomBytes } from "node:crypto";
import { createReadStream, mkdirSync, readFileSync, rmSync } from "node:fs";
import { mkdir, open, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { connectCri } from "@kuasar/install/cri-client";
import { cachedGuestImage } from "@kuasar/install/guest-image";
import { cacheDirectory } from "@kuasar/install/parts";
import { type ContainerConfig, Pod, type PodConfig } from "@kuasar/install/pod";
import { processTable } from "@kuasar/install/process-table";
import { type TarEntry, tarArchive } from "@kuasar/install/tar-archive";
import { guestImageIn } from "@kuasar/vmm-sandboxer/machine/guest-image";
import Table from "cli-table3";
import { Command, InvalidArgumentError } from "commander";
import { openArena } from "./arena.ts";
import { median, timed } from "./statistics.ts";

const FOLDERS = 100;
const MOST_FILE_BYTES = 3072;
const MEMORY_MB = 1024;
const MIB = 1 << 20;
/** Of one command or a boot, in an emulated machine on a busy host. */
const PATIENCE_SECONDS = 3600;

/** Config keys of the vmm sandboxer by which the sides differ. */
const SIDES = {
  "cache=auto": { virtiofs_cache: "auto" },
  "cache=always": { virtiofs_cache: "always" },
  "cache=never": { virtiofs_cache: "never" },
  block: { rootfs: "Block" },
} as const;
type SideName = keyof typeof SIDES;
const sideNames = Object.keys(SIDES) as SideName[];

/** What a step takes: by the machine's clock, and of the host's processors, which a busy host does not change. */
interface Step {
  readonly seconds: number;
  readonly cpuSeconds: number;
}
interface ManyFiles {
  readonly untar: Step;
  readonly sync: Step;
  readonly read: Step;
  readonly remove: Step;
}

interface BenchOptions {
  readonly files: number;
  readonly megabytes: number;
  readonly starts: number;
  readonly json: string;
}

async function openStorageArena() {
  const { folder } = await cachedGuestImage();
  const common = { ...guestImageIn(folder), memory_in_mb: MEMORY_MB, boot_timeout_in_ms: PATIENCE_SECONDS * 1000 };
  const sandboxers = sideNames.map((name) => {
    const config = { hypervisor: { ...common, ...SIDES[name] } };
    return [handlerOf(name), { program: "vmm-sandboxer", config }] as const;
  });
  const arena = await openArena(Object.fromEntries(sandboxers));
  const cri = connectCri(arena.containerd.layout.socket, { callTimeoutMs: PATIENCE_SECONDS * 1000 });
  const close = async () => {
    cri.close();
    await arena.close();
  };
  return { containerd: arena.containerd, cri, volume: join(arena.directory, "volume"), close };
}

/** Also the name of a socket. */
const handlerOf = (side: SideName) => side.replace("=", "-");

type Arena = Awaited<ReturnType<typeof openStorageArena>>;

const privileged = (config: PodConfig | ContainerConfig) => {
  config.linux.securityContext.privileged = true;
};

const runPod = ({ cri, containerd: { cgroupParent } }: Arena, side: SideName) =>
  Pod.run(cri, { handler: handlerOf(side), cgroupParent, network: "cni", configure: privileged });

/** A container that has the volume at /volume, and a file system in the machine's memory at /memory. */
async function startWorkbench(arena: Arena, pod: Pod): Promise<(script: string) => Promise<string>> {
  const id = await pod.start({
    configure: (config) => {
      privileged(config);
      config.mounts = [{ containerPath: "/volume", hostPath: arena.volume }];
    },
  });
  const run = async (script: string) => {
    const command = { containerId: id, cmd: ["sh", "-c", script], timeout: PATIENCE_SECONDS };
    const { stdout, stderr, exitCode } = await arena.cri.runtime.execSync(command);
    if (exitCode !== 0) throw new Error(`${script}: exit code ${exitCode}: ${Buffer.from(stderr).toString()}`);
    return Buffer.from(stdout).toString();
  };
  await run("mkdir /memory && mount -t tmpfs tmpfs /memory && cp /volume/files.tar /memory");
  return run;
}

/** User and system time of a pod's hypervisor and file server (proc_pid_stat(5): in hundredths of a second). */
function cpuSeconds(pod: Pod): number {
  const programs = processTable().filter(({ argv }) => {
    const [program = ""] = argv;
    return /qemu-system|virtiofsd/.test(program) && argv.some((word) => word.includes(pod.id));
  });
  const ticks = programs.map(({ pid }) => {
    const [user = 0, system = 0] = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ")
      .slice(11, 13)
      .map(Number);
    return user + system;
  });
  return ticks.reduce((sum, one) => sum + one, 0) / 100;
}

async function manyFiles(pod: Pod, run: (script: string) => Promise<string>, folder: string): Promise<ManyFiles> {
  const seconds = async (script: string): Promise<Step> => {
    const before = cpuSeconds(pod);
    const [begin, end] = (await run(`cat /proc/uptime; ${script} >/dev/null; cat /proc/uptime`)).trim().split("\n");
    const passed = Number(end?.split(" ")[0]) - Number(begin?.split(" ")[0]);
    return { seconds: passed, cpuSeconds: cpuSeconds(pod) - before };
  };
  await run(`mkdir ${folder}`);
  const untar = await seconds(`tar xf /memory/files.tar -C ${folder}`);
  const sync = await seconds("sync");
  const read = await seconds(`tar cf - -C ${folder} . | wc -c`);
  return { untar, sync, read, remove: await seconds(`rm -rf ${folder}`) };
}

/** Read from a volume and written to it, in the machine; then read by the host. */
async function largeFile({ volume }: Arena, run: (script: string) => Promise<string>, megabytes: number) {
  const [from, to] = ["large", "copy"].map((name) => join(volume, name)) as [string, string];
  const file = await open(from, "wx");
  for (let written = 0; written < megabytes; written++) await file.write(randomBytes(MIB));
  await file.close();
  const { ms } = await timed(() => run("dd if=/volume/large of=/volume/copy bs=1M conv=fsync 2>/dev/null"));
  const [expected, found] = [await digestOf(from), await digestOf(to)];
  if (expected !== found) throw new Error(`the host reads ${found} of what the machine wrote, expected ${expected}`);
  for (const path of [from, to]) rmSync(path);
  return (megabytes / ms) * 1000;
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: MIB }), hash);
  return hash.digest("hex");
}

/** Milliseconds of RunPodSandbox, and of a container's create and start in it. */
async function start(arena: Arena, side: SideName): Promise<{ pod: number; container: number }> {
  const { ms, value: pod } = await timed(() => runPod(arena, side));
  try {
    return { pod: ms, container: (await timed(() => pod.start())).ms };
  } finally {
    await pod.remove();
  }
}

function smallFiles(count: number): Buffer {
  const entries: TarEntry[] = [];
  for (let folder = 0; folder < FOLDERS; folder++) entries.push({ path: `${folder}`, type: "directory" });
  for (let file = 0; file < count; file++) {
    const content = randomBytes(1 + ((file * 7919) % MOST_FILE_BYTES));
    entries.push({ path: `${file % FOLDERS}/file-${file}`, type: "file", content });
  }
  return tarArchive(entries);
}

async function measure(arena: Arena, options: BenchOptions) {
  mkdirSync(arena.volume);
  await writeFile(join(arena.volume, "files.tar"), smallFiles(options.files));
  const many: Record<string, ManyFiles> = {};
  const large: Record<string, number> = {};
  const starts: Record<string, { first: number; container: number; pod: number }> = {};
  for (const side of sideNames) {
    progress(`${side}: starting`);
    const first = await start(arena, side);
    const later = [];
    for (let round = 0; round < options.starts; round++) later.push(await start(arena, side));
    starts[side] = {
      first: first.container,
      container: median(later.map(({ container }) => container)),
      pod: median(later.map(({ pod }) => pod)),
    };
    const pod = await runPod(arena, side);
    try {
      const run = await startWorkbench(arena, pod);
      progress(`${side}: many small files`);
      many[`rootfs, ${side === "block" ? "on drives" : `virtio-fs ${side}`}`] = await manyFiles(pod, run, "/files");
      if (side === "block") {
        many["guest tmpfs (the floor)"] = await manyFiles(pod, run, "/memory/files");
      } else if (side === "cache=auto") {
        many[`volume, virtio-fs ${side}`] = await manyFiles(pod, run, "/volume/files");
        progress(`${side}: a large file`);
        large[side] = await largeFile(arena, run, options.megabytes);
      }
    } finally {
      await pod.remove();
    }
  }
  return { many, large, starts };
}

function tables({ many, large, starts }: Awaited<ReturnType<typeof measure>>, options: BenchOptions): string {
  const table = (head: string[], rows: (string | number)[][]) => {
    const made = new Table({ head, style: { head: [], border: [] }, colAligns: ["left"] });
    made.push(...rows.map((row) => row.map((cell) => (typeof cell === "number" ? cell.toFixed(2) : cell))));
    return made.toString();
  };
  return [
    table(
      [`${options.files} small files, seconds (of the host's processors)`, "untar", "sync", "read", "remove"],
      Object.entries(many).map(([what, { untar, sync, read, remove }]) => [
        what,
        ...[untar, sync, read, remove].map((step) => `${step.seconds.toFixed(2)} (${step.cpuSeconds.toFixed(2)})`),
      ]),
    ),
    table(
      [`a file of ${options.megabytes} MiB read from and written to a volume`, "MiB/s"],
      Object.entries(large).map(([side, rate]) => [`virtio-fs ${side}`, rate]),
    ),
    table(
      ["starting, ms", "pod", "its first container", "the first one ever"],
      Object.entries(starts).map(([side, { pod, container, first }]) => [side, pod, container, first]),
    ),
  ].join("\n");
}

function progress(text: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}` : `${text}\n`);
}

async function bench(options: BenchOptions): Promise<void> {
  const arena = await openStorageArena();
  const figures = await measure(arena, options).finally(arena.close);
  progress("");
  process.stdout.write(`${tables(figures, options)}\n`);
  await mkdir(dirname(options.json), { recursive: true });
  await writeFile(
    options.json,
    `${JSON.stringify({ when: new Date().toISOString(), options, ...figures }, null, 2)}\n`,
  );
  process.stdout.write(`written to ${options.json}\n`);
}

function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("expected a whole number above 0");
  return value;
}

const program = new Command("bench-vmm-storage")
  .description("compares the kinds of storage that a pod in a virtual machine can have, in one run")
  .option("--files <number>", "small files in the archive that is unpacked", count, 10_000)
  .option("--megabytes <number>", "size of the large file", count, 1024)
  .option("--starts <number>", "pods started one after another, of each kind", count, 3)
  .option("--json <file>", "where the figures go", join(cacheDirectory(), "bench-vmm-storage.json"))
  .action(bench);

program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
