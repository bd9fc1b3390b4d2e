export interface PartsOptions {
  /** Told, a line at a time, what is about to be installed or fetched. Default: standard error. */
  readonly report?: (line: string) => void;
}

export interface BuildParts {
  /** The folder of unpacked Debian 13 packages. */
  readonly prefix: string;
  /** How to run qjsc: a program and its first arguments. */
  readonly qjsc: string[];
  readonly includeDir: string;
  /** Path of libquickjs.a. */
  readonly libquickjs: string;
  readonly gcc: string;
}

export interface LabParts {
  readonly prefix: string;
  readonly containerd: string;
  readonly ctr: string;
  /** The folder that holds containerd-shim-runc-v2. */
  readonly shimDir: string;
  /** A static busybox. */
  readonly busybox: string;
  readonly runc: string;
  readonly crun: string;
  readonly catatonit: string;
  /** The folder of CNI plugins. */
  readonly cniDir: string;
}

export interface VmParts {
  /** How to run QEMU: a program and its first arguments. */
  readonly qemu: readonly string[];
  readonly mmdebstrap: string;
  /** mkfs.ext4 */
  readonly mkfs: string;
  /** Debian's archive keys. */
  readonly keyring: string;
  /** Addresses to fetch Debian from, likeliest first; at least one. */
  readonly mirrors: readonly string[];
}

export interface WasmParts {
  /** Paths of the engines' programs. */
  readonly wasmedge: string;
  readonly wasmtime: string;
}

/** The checkout this code runs from; undefined once installed. */
export function sourceDirectory(): string | undefined;
/** The same for all checkouts of a user. */
export function userCacheDirectory(): string;

export function cacheDirectory(): string;
export function buildParts(options?: PartsOptions): Promise<BuildParts>;
export function labParts(options?: PartsOptions): Promise<LabParts>;
export function vmParts(options?: PartsOptions): Promise<VmParts>;
export function wasmParts(options?: PartsOptions): Promise<WasmParts>;

export interface VmmParts {
  readonly kernel: {
    readonly image: string;
    /** The folder lib/modules/RELEASE. */
    readonly modules: string;
  };
}

export function vmmParts(options?: PartsOptions): Promise<VmmParts>;
