import { failedPrecondition } from "@kuasar/framework/error/sandbox-error";
import type { Mount } from "@kuasar/framework/monitor/monitor";
import type { OciDevice, OciDeviceRule, OciMount, OciResources, OciSpec } from "@kuasar/framework/oci/spec";
import type { JsonObject } from "@kuasar/framework/store/json";
import type { GuestDrive } from "../guest/guest.ts";
import type { DeviceNumber } from "../storage/block-device.ts";
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

/** What a container has in the guest, beside what comes by the share. */
export interface GuestParts {
  /** Of the guest, in place of a pid namespace to join; "" where there is none. */
  readonly pidNamespace?: string;
  /** The folder that is the container's root; by default the share's. */
  readonly rootfs?: string;
  /** Block devices of the host as the guest has them. */
  readonly drives?: ReadonlyMap<DeviceNumber, GuestDrive>;
  /** Of mounts that are a device's node. */
  readonly mounted?: ReadonlyMap<string, DeviceNumber>;
}

const NOTHING: ReadonlyMap<string, never> = new Map<string, never>();

/**
 * What the spec says of the host becomes what it is in the guest: namespaces to join are the machine's own, files of the
 * host come by the share, its block devices have the guest's numbers, and what only the host has is left out: hooks,
 * labels of its security modules, its other devices. FAILED_PRECONDITION where mounts made in the guest are to reach the host.
 */
export function guestSpec(spec: OciSpec, id: string, parts: GuestParts = {}): GuestContainer {
  const { pidNamespace = "", rootfs = `${GUEST_SHARE}/${id}/${ROOTFS}`, drives = NOTHING, mounted = NOTHING } = parts;
  const binds: { source: string; name: string; options: readonly string[] }[] = [];
  const mounts = (spec.mounts ?? []).map((mount): OciMount => {
    if (!isBind(mount)) return mount;
    if (isPodShm(mount)) return { ...mount, source: "/dev/shm" };
    const drive = drives.get(mounted.get(mount.source ?? "") ?? "");
    if (drive) return { ...mount, source: drive.path };
    requireNoWayBack(mount, id);
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
  // With cgroup v1 containerd asks for none, and a container finds its own limits at /sys/fs/cgroup all the same.
  if (!namespaces.some(({ type }) => type === "cgroup")) namespaces.push({ type: "cgroup" });
  return {
    spec: {
      ...rest,
      // The newest that every runtime knows; what later ones added is ignored where it is not known.
      ociVersion: "1.0.2",
      // A name that the pod has anyway: without a namespace of its own, a runtime refuses to set one.
      hostname: "",
      root: { ...spec.root, path: rootfs },
      mounts,
      process: guestProcess(spec.process ?? {}),
      linux: {
        ...linux,
        namespaces,
        cgroupsPath: cgroupOf(id),
        ...(devices && { devices: guestDevices(devices, drives) }),
        ...(resources && {
          resources: {
            ...(guestResources(resources as JsonObject) as OciResources),
            ...(resources.devices && { devices: guestRules(resources.devices, drives) }),
          },
        }),
      },
    },
    binds,
    dropped: [
      ...Object.keys(spec.hooks ?? {}).map((name) => `hooks ${name}`),
      ...LABELS.filter((name) => (spec.process as Record<string, unknown> | undefined)?.[name]),
      ...(devices ?? [])
        .filter((device) => !isSameEverywhere(device) && !driveOf(device, drives))
        .map(({ path }) => `device ${path}`),
    ],
  };
}

/** Of security modules that the guest's kernel does not have. */
const LABELS = ["apparmorProfile", "selinuxLabel"];

/** A process's spec, of a container or of an exec, as the guest can have it. */
export function guestProcess<T extends object>(process: T): T {
  return Object.fromEntries(Object.entries(process).filter(([name]) => !LABELS.includes(name))) as T;
}

type Drives = ReadonlyMap<DeviceNumber, GuestDrive>;

const driveOf = ({ type, major, minor }: Partial<OciDevice>, drives: Drives) =>
  type === "b" ? drives.get(`${major}:${minor}`) : undefined;

function guestDevices(devices: readonly OciDevice[], drives: Drives): OciDevice[] {
  return devices.flatMap((device) => {
    const drive = driveOf(device, drives);
    if (drive) return [{ ...device, major: drive.major, minor: drive.minor }];
    return isSameEverywhere(device) ? [device] : [];
  });
}

/** A rule about one of the host's block devices would be about another one of the guest's. */
function guestRules(rules: readonly OciDeviceRule[], drives: Drives): OciDeviceRule[] {
  return rules.flatMap((rule) => {
    const drive = driveOf(rule, drives);
    if (drive) return [{ ...rule, major: drive.major, minor: drive.minor }];
    return rule.type === "b" && (rule.major ?? -1) >= 0 ? [] : [rule];
  });
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

/** MountPropagation BIDIRECTIONAL: to run without it would be less than was asked for. */
function requireNoWayBack({ destination, options = [] }: OciMount, id: string): void {
  const word = options.find((option) => option === "shared" || option === "rshared");
  if (word === undefined) return;
  throw failedPrecondition(
    `container ${id}: mount ${destination} is ${word}, and what a virtual machine mounts does not reach the host ` +
      "(Bidirectional); rslave (HostToContainer) is what it can have",
  );
}

/**
 * How the host mounts what is bound: read-only holds there already, whatever the guest does; what is mounted below it
 * later comes along where that is asked for, and nothing that is mounted in the guest comes back.
 */
function hostOptions(options: readonly string[]): string[] {
  const follows = ["slave", "rslave"].some((word) => options.includes(word));
  return ["rbind", follows ? "rslave" : "rprivate", ...(options.some((word) => /^r?ro$/.test(word)) ? ["ro"] : [])];
}

/** The bind as the monitor mounts it. */
export function bindMount({ source, options }: GuestContainer["binds"][number]): Mount {
  return { type: "bind", source, target: "", options };
}
