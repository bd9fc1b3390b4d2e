import { resolveCgroupsPath } from "../cgroup/cgroups-path.ts";
import { invalidArgument } from "../error/sandbox-error.ts";
import { quote } from "../identifier/identifier.ts";
import type { IdMapping, Namespace } from "../monitor/monitor.ts";
import type { OciIdMapping, OciSpec } from "../oci/spec.ts";
import { checkHostNames } from "./host-names.ts";
import type { PausePlan } from "./pause-plan.ts";
import { checkSysctls } from "./sysctls.ts";

const NAMESPACES = ["pid", "network", "mount", "ipc", "uts", "user", "cgroup"] as const;

/**
 * The plan that an OCI spec for a pause container amounts to. `id` is for error texts.
 * Throws INVALID_ARGUMENT for what no OCI runtime would accept.
 */
export function planFromSpec(spec: OciSpec, id: string): PausePlan {
  const linux = spec.linux ?? {};
  const namespaces = (linux.namespaces ?? [])
    .filter(({ type }) => type !== "time")
    .map(({ type, path }) => toNamespace(type, path ?? "", id));
  if (!namespaces.some(({ type }) => type === "mount")) {
    namespaces.push({ type: "mount", path: "" });
  }
  const sysctls = linux.sysctl ?? {};
  checkSysctls(sysctls, namespaces, id);
  const { hostname = "", domainname = "" } = spec;
  checkHostNames({ hostname, domainname }, namespaces, id);
  const user = spec.process?.user ?? {};
  const oomScoreAdj = spec.process?.oomScoreAdj;
  const resources = linux.resources;
  return {
    namespaces,
    uidMappings: (linux.uidMappings ?? []).map(toIdMapping),
    gidMappings: (linux.gidMappings ?? []).map(toIdMapping),
    hostname,
    domainname,
    sysctls,
    cgroup: resolveCgroupsPath(linux.cgroupsPath ?? ""),
    ...(resources && { resources: { ...pick(resources) } }),
    uid: user.uid ?? 0,
    gid: user.gid ?? 0,
    additionalGids: user.additionalGids ?? [],
    ...(oomScoreAdj !== undefined && { oomScoreAdj }),
  };
}

function toNamespace(type: string, path: string, id: string): Namespace {
  const known = NAMESPACES.find((name) => name === type);
  if (known === undefined) {
    throw invalidArgument(
      `sandbox ${id}: namespace type ${quote(type)} in its spec is not one of ${NAMESPACES.join(", ")}`,
    );
  }
  return { type: known, path };
}

function toIdMapping({ containerID, hostID, size }: OciIdMapping): IdMapping {
  return { containerId: containerID, hostId: hostID, size };
}

function pick({ cpu, memory, pids }: NonNullable<PausePlan["resources"]>): NonNullable<PausePlan["resources"]> {
  return { ...(cpu && { cpu }), ...(memory && { memory }), ...(pids && { pids }) };
}
