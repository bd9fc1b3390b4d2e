/** Runc's options by the names that containerd's config has for them (runtime/v2/runc/options/oci.proto). */
export interface RuncOptionNames {
  readonly NoPivotRoot?: boolean;
  readonly NoNewKeyring?: boolean;
  readonly ShimCgroup?: string;
  readonly IoUid?: number;
  readonly IoGid?: number;
  readonly BinaryName?: string;
  readonly Root?: string;
  readonly SystemdCgroup?: boolean;
  readonly CriuWorkPath?: string;
}

/**
 * How options reach a shim: as runc's own message, within the generic one, or as containerd's client gives them to a
 * runtime that is not called io.containerd.runc.
 */
export type RuncOptionsForm = "own" | "generic" | "client";
