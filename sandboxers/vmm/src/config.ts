import { statSync } from "node:fs";
import { findProgram } from "@kuasar/framework/proc/find-program";
import { describeMachineTypes, findMachineType } from "./hypervisor/qemu/machine-type.ts";
import { MAKE_IMAGE } from "./storage/root-image.ts";
import { MAKE_WRITABLE } from "./storage/writable-layer.ts";

/**
 * The config file, with the tables and keys of upstream's config_qemu.toml (vmm/sandbox of github.com/kuasar-io/kuasar).
 * Each key either acts, or has one value at which it asks for nothing and is refused with any other.
 */
export interface VmmConfigFile {
  readonly sandbox: {
    /** Instead of the log_level that every sandboxer of ours has at the top. */
    readonly log_level: string;
    readonly enable_tracing: boolean;
  };
  readonly hypervisor: VmmConfig;
}

/** The table [hypervisor]. Keys without a comment are not supported: only their defaults are taken. */
export interface VmmConfig {
  /** Ours, since upstream has a program a hypervisor: "qemu". */
  readonly name: string;
  /** The hypervisor's program: a name or a path. */
  readonly qemu_path: string;
  /** Ours. "kvm", "tcg", or "auto": KVM where the host has it. */
  readonly accelerator: string;
  /** One of machine-type.ts; options of QEMU's may follow: "q35,smm=off". */
  readonly machine_type: string;
  /** More options of QEMU's -machine. */
  readonly machine_accelerators: string;
  readonly kernel_path: string;
  readonly initrd_path: string;
  readonly image_path: string;
  /** In place of QEMU's own firmware, for machines that have one; "" leaves it. */
  readonly firmware_path: string;
  /** More words for the guest kernel's command line. */
  readonly kernel_params: string;
  /** "host" is the host's with KVM, and all that QEMU can emulate without. */
  readonly cpu_model: string;
  /** More of QEMU's -cpu: "pmu=off". */
  readonly cpu_features: string;
  /** What a machine has beside what its pod asks for. */
  readonly vcpus: number;
  /** How many a machine can grow to; 0: as many as the host has. */
  readonly default_max_vcpus: number;
  /** What a machine has beside what its pod asks for. */
  readonly memory_in_mb: number;
  /** Ours. How much a machine can grow to; 0: as much as the host has. */
  readonly default_max_memory_in_mb: number;
  /** How often a machine's memory can grow. */
  readonly mem_slots: number;
  readonly mem_offset: number;
  /** A folder on a file system for the guest's memory, which is anonymous without. */
  readonly memory_path: string;
  readonly file_backend_mem_path: string;
  /** The guest's memory is the host's from the start. */
  readonly mem_prealloc: boolean;
  readonly hugepages: boolean;
  /** Whether the host may swap the guest's memory out; false locks it. */
  readonly enable_swap: boolean;
  readonly enable_vhost_user_store: boolean;
  /** What the guest's random numbers begin with. */
  readonly entropy_source: string;
  readonly default_bridges: number;
  readonly enable_iothreads: boolean;
  readonly disable_nvdimm: boolean;
  readonly block_device_driver: string;
  readonly share_fs: string;
  /** Ours. How containers have root file systems that are folders on the host: "VirtioFS", or "Block": as an image. */
  readonly rootfs: string;
  /** Ours. A folder, of this sandboxer alone, for those images and what containers write; "" is one in --dir. */
  readonly storage_path: string;
  /** Ours. How much the images may take; the least recently used go. */
  readonly rootfs_images_mb: number;
  /** Ours. How much a container can write to its root. */
  readonly rootfs_writable_mb: number;
  /** The file server of shares; "" looks where Debian has it. */
  readonly virtiofs_daemon_path: string;
  readonly virtiofs_cache: string;
  readonly virtiofs_extra_args: readonly string[];
  readonly virtiofs_cache_size: number;
  readonly msize_9p: number;
  readonly virtio_9p_direct_io: boolean;
  readonly virtio_9p_multidevs: string;
  /** The channel to the guest is vhost-vsock, not a virtio port. */
  readonly use_vsock: boolean;
  /** The guest kernel says all it does on the console, and `kuasar exec` opens a shell. */
  readonly debug: boolean;
  /** Ours. How long a machine may take until its vmm-task answers. */
  readonly boot_timeout_in_ms: number;
  readonly task: {
    /** vmm-task logs more, to the console. */
    readonly debug: boolean;
    readonly enable_tracing: boolean;
  };
}

export const VMM_CONFIG_DEFAULTS: VmmConfigFile = {
  sandbox: { log_level: "", enable_tracing: false },
  hypervisor: {
    name: "qemu",
    qemu_path: process.arch === "arm64" ? "qemu-system-aarch64" : "qemu-system-x86_64",
    accelerator: "auto",
    machine_type: process.arch === "arm64" ? "virt" : "microvm",
    machine_accelerators: "",
    kernel_path: "/usr/local/lib/kuasar/guest/vmlinux",
    initrd_path: "/usr/local/lib/kuasar/guest/initrd.img",
    image_path: "",
    firmware_path: "",
    kernel_params: "",
    cpu_model: "host",
    cpu_features: "",
    vcpus: 1,
    default_max_vcpus: 0,
    memory_in_mb: 256,
    default_max_memory_in_mb: 0,
    mem_slots: 8,
    mem_offset: 0,
    memory_path: "",
    file_backend_mem_path: "",
    mem_prealloc: false,
    hugepages: false,
    enable_swap: true,
    enable_vhost_user_store: false,
    entropy_source: "/dev/urandom",
    default_bridges: 0,
    enable_iothreads: false,
    disable_nvdimm: true,
    block_device_driver: "VirtioScsi",
    share_fs: "VirtioFS",
    rootfs: "VirtioFS",
    storage_path: "",
    rootfs_images_mb: 8192,
    rootfs_writable_mb: 10_240,
    virtiofs_daemon_path: "",
    virtiofs_cache: "auto",
    virtiofs_extra_args: [],
    virtiofs_cache_size: 0,
    msize_9p: 8192,
    virtio_9p_direct_io: false,
    virtio_9p_multidevs: "",
    use_vsock: false,
    debug: false,
    boot_timeout_in_ms: 60_000,
    task: { debug: false, enable_tracing: false },
  },
};

/** Throws one Error that says of each key that is wrong what was expected and what came. */
export function checkVmmConfig(file: VmmConfigFile): VmmConfig {
  const { hypervisor } = file;
  const problems = [
    ...notSupported(file),
    ...WORDS.flatMap(([key, expected]) => oneOf(key, hypervisor[key], expected)),
    ...NUMBERS.flatMap(([key, least, most]) => whole(key, hypervisor[key], least, most)),
    ...FILES.flatMap(([key, kind, hint]) => present(key, hypervisor[key], kind, hint)),
    ...SINGLE_WORDS.flatMap((key) => singleWord(key, hypervisor[key])),
    ...program("qemu_path", hypervisor.qemu_path, "install qemu-system-x86"),
    ...(hypervisor.virtiofs_daemon_path === ""
      ? []
      : program("virtiofs_daemon_path", hypervisor.virtiofs_daemon_path, "install virtiofsd")),
    ...together(hypervisor),
  ];
  if (problems.length > 0) throw new Error(`config: ${problems.join("; ")}`);
  return hypervisor;
}

/** Upstream's keys for what is not here, and what there is in its place. */
const NOT_SUPPORTED = {
  image_path: "the guest's root is its initial ramdisk, initrd_path",
  mem_offset: "there is no NVDIMM",
  file_backend_mem_path: "memory_path names the folder",
  enable_vhost_user_store: "block devices are QEMU's",
  default_bridges: "devices are on the machine's own bus",
  enable_iothreads: "QEMU's own thread serves devices",
  disable_nvdimm: "there is no NVDIMM",
  virtiofs_cache_size: "QEMU has no DAX window",
  msize_9p: "files are shared by virtio-fs",
  virtio_9p_direct_io: "files are shared by virtio-fs",
  virtio_9p_multidevs: "files are shared by virtio-fs",
} as const satisfies Partial<Record<keyof VmmConfig, string>>;

function notSupported({ sandbox, hypervisor }: VmmConfigFile): string[] {
  const defaults = VMM_CONFIG_DEFAULTS.hypervisor;
  const keys = Object.entries(NOT_SUPPORTED) as [keyof typeof NOT_SUPPORTED, string][];
  const tracing = [
    ["sandbox", sandbox.enable_tracing],
    ["hypervisor.task", hypervisor.task.enable_tracing],
  ] as const;
  return [
    ...tracing.filter(([, on]) => on).map(([table]) => `${table}.enable_tracing is true: tracing is not supported`),
    ...keys
      .filter(([key]) => hypervisor[key] !== defaults[key])
      .map(([key, instead]) => {
        const [came, taken] = [hypervisor[key], defaults[key]].map((value) => JSON.stringify(value));
        return `hypervisor.${key} is ${came}: not supported, ${instead}; expected ${taken}`;
      }),
  ];
}

type KeyOf<T> = { [K in keyof VmmConfig]: VmmConfig[K] extends T ? K : never }[keyof VmmConfig];

const WORDS: ReadonlyArray<readonly [KeyOf<string>, readonly string[]]> = [
  ["name", ["qemu"]],
  ["accelerator", ["auto", "kvm", "tcg"]],
  ["share_fs", ["VirtioFS"]],
  ["block_device_driver", ["VirtioScsi"]],
  ["rootfs", ["VirtioFS", "Block"]],
  ["virtiofs_cache", ["auto", "always", "never", "none"]],
];

const NUMBERS: ReadonlyArray<readonly [KeyOf<number>, number, number]> = [
  ["vcpus", 1, 255],
  ["default_max_vcpus", 0, 255],
  ["memory_in_mb", 64, 2 ** 24],
  ["default_max_memory_in_mb", 0, 2 ** 24],
  ["rootfs_images_mb", 1, 2 ** 24],
  ["rootfs_writable_mb", 16, 2 ** 24],
  // QEMU's limit.
  ["mem_slots", 0, 256],
  ["boot_timeout_in_ms", 100, 3_600_000],
];

type FileKind = "file" | "folder" | "character device";

/** An empty path asks for nothing where `hint` says nothing. */
const FILES: ReadonlyArray<readonly [KeyOf<string>, FileKind, string]> = [
  ["kernel_path", "file", "kuasar guest-image makes it"],
  ["initrd_path", "file", "kuasar guest-image makes it"],
  ["firmware_path", "file", ""],
  ["memory_path", "folder", ""],
  ["storage_path", "folder", ""],
  ["entropy_source", "character device", "/dev/urandom is one"],
];

/** Parts of one option of QEMU's command line. */
const SINGLE_WORDS: ReadonlyArray<KeyOf<string>> = [
  "machine_type",
  "machine_accelerators",
  "cpu_model",
  "cpu_features",
];

function oneOf(key: string, value: string, expected: readonly string[]): string[] {
  if (expected.includes(value)) return [];
  const words = expected.map((word) => JSON.stringify(word)).join(", ");
  return [`hypervisor.${key} is ${JSON.stringify(value)}, expected ${expected.length > 1 ? "one of " : ""}${words}`];
}

function whole(key: string, value: number, least: number, most: number): string[] {
  if (Number.isInteger(value) && value >= least && value <= most) return [];
  return [`hypervisor.${key} is ${value}, expected a whole number from ${least} to ${most}`];
}

function present(key: string, path: string, kind: FileKind, hint: string): string[] {
  if (path === "" && hint === "") return [];
  const found = path.startsWith("/") ? statSync(path, { throwIfNoEntry: false }) : undefined;
  const fits = { file: found?.isFile(), folder: found?.isDirectory(), "character device": found?.isCharacterDevice() };
  if (fits[kind]) return [];
  const came = path.startsWith("/") ? (found ? "which is none" : "which is not there") : "which is no absolute path";
  return [`hypervisor.${key} is ${JSON.stringify(path)}, ${came}: expected a ${kind}${hint && ` (${hint})`}`];
}

function program(key: string, name: string, hint: string): string[] {
  if (findProgram(name) !== undefined) return [];
  return [`hypervisor.${key} is ${JSON.stringify(name)}: expected an executable file, or one in $PATH (${hint})`];
}

const singleWord = (key: string, value: string): string[] =>
  /\s/.test(value) ? [`hypervisor.${key} is ${JSON.stringify(value)}, expected one word`] : [];

/** What fits each key, and not its neighbours. */
function together(config: VmmConfig): string[] {
  const [machine = ""] = config.machine_type.split(",");
  const problems: string[] = [];
  const type = findMachineType(machine);
  if (type === undefined) {
    problems.push(`hypervisor.machine_type is ${JSON.stringify(machine)}, expected ${describeMachineTypes()}`);
  } else if (type.arch !== process.arch) {
    problems.push(`hypervisor.machine_type is ${JSON.stringify(machine)}, which this host's processor cannot run`);
  }
  if (config.rootfs === "Block") {
    problems.push(...program("rootfs", MAKE_IMAGE, "install erofs-utils"));
    problems.push(...program("rootfs", MAKE_WRITABLE, "install e2fsprogs"));
  }
  if (config.cpu_model === "") problems.push('hypervisor.cpu_model is "", expected a name of QEMU\'s, or "host"');
  if (config.hugepages && config.memory_path !== "") {
    problems.push(
      "hypervisor.hugepages and hypervisor.memory_path: expected one of them, a file system has its own pages",
    );
  }
  for (const [most, least] of [
    ["default_max_vcpus", "vcpus"],
    ["default_max_memory_in_mb", "memory_in_mb"],
  ] as const) {
    if (config[most] !== 0 && config[most] < config[least]) {
      problems.push(`hypervisor.${most} is ${config[most]}, expected 0, or ${least} (${config[least]}) and more`);
    }
  }
  return problems;
}
