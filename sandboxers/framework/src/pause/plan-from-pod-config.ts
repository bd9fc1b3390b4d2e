import { podCgroupsPath, resolveCgroupsPath } from "../cgroup/cgroups-path.ts";
import { failedPrecondition, unimplemented } from "../error/sandbox-error.ts";
import type { Namespace } from "../monitor/monitor.ts";
import { checkHostNames } from "./host-names.ts";
import type { PausePlan } from "./pause-plan.ts";
import type { PodConfig } from "./pod-config.ts";
import { checkSysctls } from "./sysctls.ts";

// What containerd's CRI plugin gives a pause container: defaultSandboxOOMAdj and WithDefaultSandboxShares.
const PAUSE_OOM_SCORE_ADJ = -998;
const PAUSE_CPU_SHARES = 2;

/**
 * The plan for a pod whose sandbox is made from its CRI config, without a spec.
 * Contract: containerd's `pkg/cri/sbserver/podsandbox/sandbox_run_linux.go`, which makes the spec in the other mode.
 */
export function planFromPodConfig(config: PodConfig, id: string, netnsPath: string): PausePlan {
  // containerd has made the network namespace and the root file systems by now, and both are the host's user's: in a user
  // namespace nothing could be done with them. To go on without one would be a pod less confined than was asked for.
  if (config.userNamespace) {
    throw unimplemented(
      `sandbox ${id} asks for a user namespace, for which containerd prepares nothing with sandbox_mode = "shim"; ` +
        "use its default mode",
    );
  }
  const namespaces: Namespace[] = [{ type: "mount", path: "" }];
  if (!config.hostNetwork) {
    if (netnsPath === "") {
      throw failedPrecondition(`sandbox ${id} has a network of its own, but no network namespace was handed over`);
    }
    namespaces.push({ type: "network", path: netnsPath }, { type: "uts", path: "" });
  }
  if (!config.hostPid) {
    namespaces.push({ type: "pid", path: "" });
  }
  if (!config.hostIpc) {
    namespaces.push({ type: "ipc", path: "" });
  }
  checkSysctls(config.sysctls, namespaces, id);
  const names = { hostname: config.hostname, domainname: "" };
  checkHostNames(names, namespaces, id);
  return {
    namespaces,
    uidMappings: [],
    gidMappings: [],
    ...names,
    sysctls: config.sysctls,
    cgroup: resolveCgroupsPath(podCgroupsPath(config.cgroupParent, id)),
    resources: { cpu: { shares: PAUSE_CPU_SHARES } },
    uid: config.runAsUser ?? 0,
    gid: config.runAsGroup ?? 0,
    additionalGids: config.supplementalGroups,
    oomScoreAdj: PAUSE_OOM_SCORE_ADJ,
  };
}
