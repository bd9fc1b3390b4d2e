/** The runc shim's options, from wherever they came. Contract: containerd's `runc/options/oci.proto`. */
export interface RuncOptions {
  readonly noPivotRoot: boolean;
  readonly noNewKeyring: boolean;
  readonly shimCgroup: string;
  readonly ioUid: number;
  readonly ioGid: number;
  /** Name or path of an OCI runtime; "" for the one in the sandboxer's config. */
  readonly binaryName: string;
  /** Where the OCI runtime keeps its state, without the namespace; "" for the default. */
  readonly root: string;
  readonly criuPath: string;
  readonly systemdCgroup: boolean;
  readonly criuImagePath: string;
  readonly criuWorkPath: string;
  /** A checkpoint that a single task is to go on from; "" for none. */
  readonly restoreImage: string;
  /** "runc" or "crun", as the sandboxer's config knows them; "" for its default. */
  readonly runtime: string;
}

export const DEFAULT_OPTIONS: RuncOptions = {
  noPivotRoot: false,
  noNewKeyring: false,
  shimCgroup: "",
  ioUid: 0,
  ioGid: 0,
  binaryName: "",
  root: "",
  criuPath: "",
  systemdCgroup: false,
  criuImagePath: "",
  criuWorkPath: "",
  restoreImage: "",
  runtime: "",
};
