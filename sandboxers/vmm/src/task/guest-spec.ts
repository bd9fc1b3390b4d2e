import type { Mount } from "@kuasar/framework/monitor/monitor";
import type { OciMount, OciSpec } from "@kuasar/framework/oci/spec";

/** Where the guest has the pod's share. */
export const GUEST_SHARE = "/run/kuasar/share";
export const SHARE_TAG = "kuasar";

/** A container's spec for the OCI runtime in the guest, and what of the host must be in the pod's share for it. */
export interface GuestContainer {
  readonly spec: OciSpec;
  /** On the host, below the container's folder of the share. `file`: the mount point is one. */
  readonly binds: ReadonlyArray<{
    readonly source: string;
    readonly name: string;
    readonly options: readonly string[];
  }>;
}

/** A container's, below the root of the guest's hierarchy. */
export const cgroupOf = (id: string) => `/kuasar/${id}`;

/** The machine's own, which all of its containers share as a pod's do. */
const POD_NAMESPACES = ["network", "ipc", "uts", "user"];

/**
 * What the spec says of the host becomes what it is in the guest: namespaces to join are the machine's own, files of the
 * host come by the share, and what only the host has (hooks, labels of its security modules) is left out.
 */
export function guestSpec(spec: OciSpec, id: string): GuestContainer {
  const binds: { source: string; name: string; options: readonly string[] }[] = [];
  const mounts = (spec.mounts ?? []).map((mount): OciMount => {
    if (!isBind(mount)) return mount;
    if (mount.destination === "/dev/shm") return { ...mount, source: "/dev/shm" };
    const name = `mount${binds.length}`;
    binds.push({
      source: mount.source ?? "",
      name,
      options: ["rbind", "rprivate", ...(mount.options?.includes("ro") ? ["ro"] : [])],
    });
    return { ...mount, source: `${GUEST_SHARE}/${id}/${name}` };
  });
  const { hooks: _hooks, ...rest } = spec;
  const {
    apparmorProfile: _profile,
    selinuxLabel: _label,
    ...process
  } = (spec.process ?? {}) as Record<string, unknown>;
  const {
    mountLabel: _mountLabel,
    uidMappings: _uids,
    gidMappings: _gids,
    sysctl: _sysctl,
    ...linux
  } = (spec.linux ?? {}) as Record<string, unknown> & NonNullable<OciSpec["linux"]>;
  const namespaces = (spec.linux?.namespaces ?? []).filter(
    ({ type, path }) => !POD_NAMESPACES.includes(type) && (type !== "pid" || !path),
  );
  return {
    spec: {
      ...rest,
      // The newest that every runtime knows; what later ones added is ignored where it is not known.
      ociVersion: "1.0.2",
      // A name that the pod has anyway: without a namespace of its own, a runtime refuses to set one.
      hostname: "",
      root: { ...spec.root, path: `${GUEST_SHARE}/${id}/rootfs` },
      mounts,
      process: process as NonNullable<OciSpec["process"]>,
      linux: { ...linux, namespaces, cgroupsPath: cgroupOf(id) },
    },
    binds,
  };
}

function isBind({ type, options = [] }: OciMount): boolean {
  return type === "bind" || options.includes("bind") || options.includes("rbind");
}

/** The bind as the monitor mounts it. */
export function bindMount({ source, options }: GuestContainer["binds"][number]): Mount {
  return { type: "bind", source, target: "", options };
}
