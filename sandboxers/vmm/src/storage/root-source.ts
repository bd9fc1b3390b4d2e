import { readdirSync } from "node:fs";
import type { Mount } from "@kuasar/framework/monitor/monitor";
import { blockDeviceNumber } from "./block-device.ts";

/** What a container's root file system comes from, as the mounts of containerd's snapshotter tell. */
export type RootSource =
  /** Mounted on the host, and shared with the machine. */
  | { readonly kind: "share" }
  /** A file system on a block device, or in a file, which the machine is given. */
  | {
      readonly kind: "drive";
      readonly path: string;
      readonly type: string;
      readonly options: readonly string[];
      readonly readOnly: boolean;
    }
  /** Folders, the uppermost first, of which an image is made. `shared`: what they have is the same for all their users. */
  | { readonly kind: "layers"; readonly layers: readonly string[]; readonly shared: boolean };

/** How the config wants a root that is made of folders. */
export type RootPreference = "VirtioFS" | "Block";

/**
 * A root that is a file system on a device (devmapper) or in a file (blockfile) already is handed over as it is. Of
 * folders (overlayfs, native) an image is made where that is preferred.
 */
export function rootSource(mounts: readonly Mount[], preference: RootPreference): RootSource {
  const [mount] = mounts;
  if (mount === undefined || mounts.length > 1 || mount.target !== "") return { kind: "share" };
  const { type, source, options } = mount;
  if (!isOfFolders(mount) && (options.includes("loop") || blockDeviceNumber(source) !== undefined)) {
    const own = options.filter((option) => option !== "loop");
    return { kind: "drive", path: source, type, options: own, readOnly: options.includes("ro") };
  }
  if (preference === "VirtioFS") return { kind: "share" };
  if (type === "overlay") {
    const upper = optionValue(options, "upperdir");
    const layers = optionValue(options, "lowerdir")?.split(":") ?? [];
    // One that has been written to already is this container's alone.
    const written = upper !== undefined && readdirSync(upper).length > 0;
    // A colon in a folder's name, which no snapshotter makes.
    if (layers.length === 0 || layers.some((layer) => !layer.startsWith("/") || layer.endsWith("\\"))) {
      return { kind: "share" };
    }
    return { kind: "layers", layers: written ? [upper, ...layers] : layers, shared: !written };
  }
  return isOfFolders(mount) ? { kind: "layers", layers: [source], shared: options.includes("ro") } : { kind: "share" };
}

const isOfFolders = ({ type, options }: Mount): boolean =>
  type === "overlay" || type === "bind" || options.includes("bind") || options.includes("rbind");

const optionValue = (options: readonly string[], name: string): string | undefined =>
  options.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1);
