import type { IdMapping, Namespace } from "../monitor/monitor.ts";
import type { OciResources } from "../oci/spec.ts";

/** Everything that makes a pod's pause process: its namespaces and what is set in them, its cgroup, who it runs as. */
export interface PausePlan {
  /** A namespace that is not listed is the host's. */
  readonly namespaces: readonly Namespace[];
  readonly uidMappings: readonly IdMapping[];
  readonly gidMappings: readonly IdMapping[];
  readonly hostname: string;
  readonly domainname: string;
  readonly sysctls: Readonly<Record<string, string>>;
  /** Below the root of every hierarchy; "" for none of its own. */
  readonly cgroup: string;
  readonly resources?: OciResources;
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly oomScoreAdj?: number;
}
