import { basename, dirname, join } from "node:path";
import type { VmmConfig } from "../../config.ts";
import type { LaunchFiles, MachinePlan } from "../hypervisor.ts";

/** What QEMU makes in a machine's folder. */
export const qmpSocket = (directory: string) => join(directory, "qmp.sock");
export const portSocket = (directory: string) => join(directory, "agent.sock");

export const VHOST_VSOCK = "/dev/vhost-vsock";

export interface LaunchFilesParts {
  readonly program: string;
  readonly plan: Pick<MachinePlan, "kernel" | "initrd" | "interfaces" | "shares">;
  readonly config: Pick<VmmConfig, "firmware_path" | "memory_path" | "entropy_source" | "use_vsock">;
  readonly kvm: boolean;
}

/** What QEMU opens by its command line, and where it comes from: installed elsewhere than in /usr, it has its firmware beside `bin`. */
export function launchFiles({ program, plan, config, kvm }: LaunchFilesParts): LaunchFiles {
  const { firmware_path, memory_path, entropy_source } = config;
  const folder = dirname(program);
  const own = basename(folder) === "bin" && folder !== "/bin" ? dirname(folder) : folder;
  return {
    readOnly: [own === "/" ? "" : own, plan.kernel, plan.initrd, firmware_path].filter((path) => path !== ""),
    writable: [
      entropy_source,
      ...(kvm ? ["/dev/kvm"] : []),
      ...(config.use_vsock ? [VHOST_VSOCK] : []),
      ...(plan.interfaces.length > 0 ? ["/dev/net/tun"] : []),
      ...plan.shares.map(({ socket }) => socket),
      ...(memory_path === "" ? [] : [memory_path]),
    ],
  };
}
