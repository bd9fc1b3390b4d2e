import { isJsonObject } from "../store/json.ts";
import type { OciSpec } from "./spec.ts";

/** Whether all that is read of it is of the right type; an OCI runtime checks the rest, and what the values mean. */
export function isOciSpec(value: unknown): value is OciSpec {
  return SPEC(value);
}

type Check = (value: unknown) => boolean;

const anything: Check = () => true;
// Half a surrogate pair, which JSON can write, has no form in UTF-8.
const text: Check = (value) => typeof value === "string" && !/\p{Surrogate}/u.test(value);
const flag: Check = (value) => typeof value === "boolean";
const number: Check = (value) => typeof value === "number" && value >= 0;
const integer: Check = (value) => Number.isSafeInteger(value);
const uint32: Check = (value) => integer(value) && (value as number) >= 0 && (value as number) <= 0xffff_ffff;

function list(item: Check): Check {
  return (value) => Array.isArray(value) && value.every(item);
}

function mapOf(item: Check): Check {
  return (value) => isJsonObject(value) && Object.values(value).every(item);
}

/** Fields that are not there, or null as Go writes an empty one, are right; but for those that are needed. */
function object(fields: Readonly<Record<string, Check>>, needed: Readonly<Record<string, Check>> = {}): Check {
  const isAbsent = (field: unknown) => field === undefined || field === null;
  return (value) =>
    isJsonObject(value) &&
    Object.entries(fields).every(([name, check]) => isAbsent(value[name]) || check(value[name])) &&
    Object.entries(needed).every(([name, check]) => check(value[name]));
}

const IDS = list(object({}, { containerID: uint32, hostID: uint32, size: uint32 }));

const SPEC = object({
  ociVersion: text,
  hostname: text,
  domainname: text,
  annotations: mapOf(text),
  hooks: object({ poststart: list(anything), poststop: list(anything) }),
  mounts: list(object({ type: text, source: text, options: list(text) }, { destination: text })),
  process: object({
    oomScoreAdj: integer,
    apparmorProfile: text,
    selinuxLabel: text,
    user: object({ uid: uint32, gid: uint32, additionalGids: list(uint32) }),
    // Without a limit it is 2^64 - 1, which is no safe integer.
    rlimits: list(object({}, { type: text, soft: number, hard: number })),
  }),
  linux: object({
    namespaces: list(object({ path: text }, { type: text })),
    uidMappings: IDS,
    gidMappings: IDS,
    sysctl: mapOf(text),
    cgroupsPath: text,
    devices: list(object({ major: integer, minor: integer }, { path: text, type: text })),
    resources: object({
      cpu: object({ shares: integer, quota: integer, period: integer, cpus: text, mems: text }),
      memory: object({ limit: integer, swap: integer, reservation: integer }),
      pids: object({ limit: integer }),
      devices: list(object({ allow: flag, type: text, major: integer, minor: integer, access: text })),
    }),
  }),
});
