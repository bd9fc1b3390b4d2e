import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { resolveCgroupsPath } from "@kuasar/framework/cgroup/cgroups-path";
import { errno, invalidArgument } from "@kuasar/framework/error/sandbox-error";
import { readSpec, SPEC_FILE } from "@kuasar/framework/oci/read-spec";
import type { OciSpec } from "@kuasar/framework/oci/spec";
import { repairMountSources, standInsOf } from "@kuasar/framework/pod-files/mount-sources";
import type { PodFiles } from "@kuasar/framework/pod-files/pod-files";
import { writeFileAtomically } from "@kuasar/framework/store/atomic-file";

const SANDBOX_ID = "io.kubernetes.cri.sandbox-id";

/** What the container's spec says that this sandboxer must know. */
export interface SpecFacts {
  readonly hooksAtStart: boolean;
  readonly killOnExit: boolean;
  readonly plainDelete: boolean;
  readonly wantedCgroup: string;
  /** Empty folders that containerd has made in place of the pod's files. */
  readonly standIns: readonly string[];
}

/**
 * Reads the bundle's spec, and rewrites it only if it names files of the pod that containerd has not made, or a
 * version that the OCI runtime refuses. INVALID_ARGUMENT if the bundle has no usable spec.
 */
export function prepareSpec(
  bundle: string,
  podFiles: PodFiles | undefined,
  specVersion: string | undefined,
): SpecFacts {
  const spec = readSpec(bundle);
  if (spec === undefined) {
    throw invalidArgument(`bundle ${bundle} has no ${SPEC_FILE}`);
  }
  return prepareReadSpec(bundle, spec, podFiles, specVersion).facts;
}

/** The same for a spec that has just been read from the bundle; answers with the one that counts from now on, too. */
export function prepareReadSpec(
  bundle: string,
  spec: OciSpec,
  podFiles: PodFiles | undefined,
  specVersion: string | undefined,
): { spec: OciSpec; facts: SpecFacts } {
  const repaired = repair(spec, podFiles, specVersion);
  if (repaired !== undefined) {
    writeFileAtomically(join(bundle, SPEC_FILE), JSON.stringify(repaired), 0o644);
  }
  const ownPids = (spec.linux?.namespaces ?? []).some(({ type, path }) => type === "pid" && !path);
  const facts = {
    hooksAtStart: (spec.hooks?.poststart ?? []).length > 0,
    killOnExit: !ownPids,
    plainDelete: (spec.hooks?.poststop ?? []).length === 0 && spec.linux?.intelRdt === undefined,
    wantedCgroup: resolveCgroupsPath(spec.linux?.cgroupsPath ?? ""),
    standIns: standInsOf(spec.mounts ?? [], (repaired ?? spec).mounts ?? [], spec.annotations?.[SANDBOX_ID] ?? ""),
  };
  return { spec: repaired ?? spec, facts };
}

/** The folder that the rootfs is mounted on; made if it is not there. */
export function rootfsFolder(bundle: string): string {
  const rootfs = join(bundle, "rootfs");
  try {
    mkdirSync(rootfs, { mode: 0o711 });
  } catch (error) {
    if (errno(error) !== "EEXIST") {
      throw error;
    }
  }
  return rootfs;
}

function repair(spec: OciSpec, podFiles: PodFiles | undefined, known: string | undefined): OciSpec | undefined {
  const mounts = podFiles && repairMountSources(spec, podFiles);
  const tooNew = known !== undefined && isLater(spec.ociVersion ?? "", known);
  if (mounts === undefined && !tooNew) {
    return undefined;
  }
  return { ...spec, ...(mounts && { mounts }), ...(tooNew && { ociVersion: known }) };
}

/** By major and minor number: a patch changes nothing that a runtime could refuse. */
export function isLater(version: string, known: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [knownMajor = 0, knownMinor = 0] = known.split(".").map(Number);
  return major > knownMajor || (major === knownMajor && minor > knownMinor);
}
