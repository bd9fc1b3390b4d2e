import type { Mount } from "@kuasar/framework/monitor/monitor";
import type { OciDevice, OciMount, OciResources, OciSpec } from "@kuasar/framework/oci/spec";
import type { JsonObject } from "@kuasar/framework/store/json";
import { guestResources } from "./guest-resources.ts";

/** Where the guest has the pod's share. */
export const GUEST_SHARE = "/run/kuasar/share";
export const SHARE_TAG = "kuasar";
/** What a container's root is called in its folder of the share. */
export const ROOTFS = "rootfs";

/** A container's spec for the OCI runtime in the guest, and what of the host must be in the pod's share for it. */
export interface GuestContainer {
  readonly spec: OciSpec;
  /** On the host, below the container's folder of the share. */
  readonly binds: ReadonlyArray<{
    readonly source: string;
    readonly name: string;
    readonly options: readonly string[];
  }>;
  /** What the spec asks for that a guest does not have. */
  readonly dropped: readonly string[];
}

/** A container's, below the root of the guest's hierarchy. */
export const cgroupOf = (id: string) => `/kuasar/${id}`;

/** The machine's own, which all of its containers share as a pod's do. */
const POD_NAMESPACES = ["network", "ipc", "uts", "user"];

/** Where containerd has the /dev/shm that a pod's containers share: the machine has one of its own. */
const POD_SHM = /\/sandboxes\/[^/]+\/shm$/;

/** Character devices that have the same numbers everywhere (devices.txt): memory, terminals, tun and fuse. */
const SAME_EVERYWHERE = /^c (1:|5:|10:200$|10:229$)/;

/**
 * What the spec says of the host becomes what it is in the guest: namespaces to join are the machine's own, files of the
 * host come by the share, and what only the host has is left out: hooks, labels of its security modules, its devices.
 * @param pidNamespace of the guest, in place of one to join; "" where there is none
 */
export function guestSpec(spec: OciSpec, id: string, pidNamespace = ""): GuestContainer {
  const binds: { source: string; name: string; options: readonly string[] }[] = [];
  const mounts = (spec.mounts ?? []).map((mount): OciMount => {
    if (!isBind(mount)) return mount;
    if (isPodShm(mount)) return { ...mount, source: "/dev/shm" };
    const name = `mount${binds.length}`;
    binds.push({ source: mount.source ?? "", name, options: hostOptions(mount.options ?? []) });
    return { ...mount, source: `${GUEST_SHARE}/${id}/${name}` };
  });
  const { hooks: _hooks, ...rest } = spec;
  const {
    mountLabel: _mountLabel,
    uidMappings: _uids,
    gidMappings: _gids,
    sysctl: _sysctl,
    ...linux
  } = (spec.linux ?? {}) as Record<string, unknown> & NonNullable<OciSpec["linux"]>;
  const { devices, resources } = linux;
  const namespaces = (spec.linux?.namespaces ?? [])
    .filter(({ type }) => !POD_NAMESPACES.includes(type))
    .map((namespace) => (namespace.type === "pid" && namespace.path ? { type: "pid", path: pidNamespace } : namespace));
  return {
    spec: {
      ...rest,
      // The newest that every runtime knows; what later ones added is ignored where it is not known.
      ociVersion: "1.0.2",
      // A name that the pod has anyway: without a namespace of its own, a runtime refuses to set one.
      hostname: "",
      root: { ...spec.root, path: `${GUEST_SHARE}/${id}/${ROOTFS}` },
      mounts,
      process: guestProcess(spec.process ?? {}),
      linux: {
        ...linux,
        namespaces,
        cgroupsPath: cgroupOf(id),
        ...(devices && { devices: devices.filter(isSameEverywhere) }),
        ...(resources && { resources: guestResources(resources as JsonObject) as OciResources }),
      },
    },
    binds,
    dropped: [
      ...Object.keys(spec.hooks ?? {}).map((name) => `hooks ${name}`),
      ...LABELS.filter((name) => (spec.process as Record<string, unknown> | undefined)?.[name]),
      ...(devices ?? []).filter((device) => !isSameEverywhere(device)).map(({ path }) => `device ${path}`),
    ],
  };
}

/** Of security modules that the guest's kernel does not have. */
const LABELS = ["apparmorProfile", "selinuxLabel"];

/** A process's spec, of a container or of an exec, as the guest can have it. */
export function guestProcess<T extends object>(process: T): T {
  return Object.fromEntries(Object.entries(process).filter(([name]) => !LABELS.includes(name))) as T;
}

function isSameEverywhere({ type = "", major, minor }: OciDevice): boolean {
  return SAME_EVERYWHERE.test(`${type === "u" ? "c" : type} ${major}:${minor}`);
}

function isPodShm({ destination, source = "" }: OciMount): boolean {
  return destination === "/dev/shm" && (source === "/dev/shm" || POD_SHM.test(source));
}

function isBind({ type, options = [] }: OciMount): boolean {
  return type === "bind" || options.includes("bind") || options.includes("rbind");
}

/**
 * How the host mounts what is bound: read-only holds there already, whatever the guest does; what is mounted below it
 * later comes along where that is asked for, and nothing that is mounted in the guest comes back.
 */
function hostOptions(options: readonly string[]): string[] {
  const follows = ["slave", "rslave", "shared", "rshared"].some((word) => options.includes(word));
  return ["rbind", follows ? "rslave" : "rprivate", ...(options.some((word) => /^r?ro$/.test(word)) ? ["ro"] : [])];
}

/** The bind as the monitor mounts it. */
export function bindMount({ source, options }: GuestContainer["binds"][number]): Mount {
  return { type: "bind", source, target: "", options };
}
