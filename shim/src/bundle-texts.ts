// What is in a bundle's files that the shim reads, without the files.

/** What a container's bundle says about where it belongs. */
export type Role =
  /** The pause container of a pod: it is the sandbox. */
  | "sandbox"
  /** A container of a pod. */
  | "container"
  /** A container with no pod: it has a sandbox of its own. */
  | "lone";

export interface BundleSpec {
  readonly role: Role;
  /** The sandbox's id: the pod's, or the container's own. */
  readonly sandboxId: string;
  /** The network namespace that the spec joins, "" for none. */
  readonly netnsPath: string;
}

interface OciSpec {
  readonly annotations?: Readonly<Record<string, string>> | null;
  readonly linux?: { readonly namespaces?: ReadonlyArray<{ readonly type: string; readonly path?: string }> };
}

/** As the runc shim groups containers (runtime/v2/runc/manager): a label of its own, then the pod. */
const GROUP_ANNOTATIONS = ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"];
const CONTAINER_TYPE = "io.kubernetes.cri.container-type";

/** text: of config.json; undefined where there is none. */
export function parseBundleSpec(text: string | undefined, id: string): BundleSpec {
  // With sandbox_mode = "shim" containerd writes no spec for the sandbox, or an empty one.
  if (text === undefined || text === "" || text === "null") return { role: "sandbox", sandboxId: id, netnsPath: "" };
  const spec = parseSpec(text);
  const annotations = spec.annotations ?? {};
  const group = GROUP_ANNOTATIONS.map((name) => annotations[name]).find((value) => value);
  const netnsPath = spec.linux?.namespaces?.find(({ type }) => type === "network")?.path ?? "";
  if (annotations[CONTAINER_TYPE] === "sandbox") return { role: "sandbox", sandboxId: id, netnsPath };
  return { role: group && group !== id ? "container" : "lone", sandboxId: group ?? id, netnsPath };
}

/** Only what is read here is looked at; an OCI runtime checks the rest. */
function parseSpec(text: string): OciSpec {
  let spec: unknown;
  try {
    spec = JSON.parse(text);
  } catch (error) {
    throw new Error(`config.json: expected an OCI runtime spec in JSON: ${(error as Error).message}`);
  }
  const { annotations, linux } = isObject(spec) ? spec : { annotations: spec };
  const namespaces = isObject(linux) ? (linux.namespaces ?? []) : [];
  const wellFormed =
    isObject(annotations ?? {}) &&
    Object.values(annotations ?? {}).every((value) => typeof value === "string") &&
    isObject(linux ?? {}) &&
    Array.isArray(namespaces) &&
    namespaces.every((namespace) => isObject(namespace) && typeof (namespace.path ?? "") === "string");
  if (!isObject(spec) || !wellFormed) throw new Error("config.json: expected an OCI runtime spec");
  return spec as OciSpec;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * What `start` has found out about a bundle: for the shim, which would else parse the spec again in memory that stays
 * with the pod, and for `delete`, which has no shim left to ask.
 */
export interface BundleRecord extends BundleSpec {
  readonly sandboxer: string;
  readonly socket: string;
}

export const RECORD = "kuasar.json";

const ROLES: readonly unknown[] = ["sandbox", "container", "lone"] satisfies Role[];

/** text: of the record; undefined where there is none. */
export function parseBundleRecord(text: string | undefined): BundleRecord | undefined {
  if (text === undefined) return undefined;
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch (error) {
    throw new Error(`${RECORD}: expected JSON: ${(error as Error).message}`);
  }
  const { role, sandboxId, netnsPath, sandboxer, socket } = isObject(record) ? record : {};
  const texts = [sandboxId, netnsPath, sandboxer, socket];
  if (!ROLES.includes(role) || texts.some((value) => typeof value !== "string")) {
    throw new Error(`${RECORD}: expected what the command start has written there`);
  }
  return record as BundleRecord;
}
