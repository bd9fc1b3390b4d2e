import { invalidArgument } from "@kuasar/framework/error/sandbox-error";
import { quote } from "@kuasar/framework/identifier/identifier";
import type { ResourceLimit } from "@kuasar/framework/monitor/monitor";
import type { OciResourceLimit } from "@kuasar/framework/oci/spec";

/** By the kernel's numbers (asm-generic/resource.h; x86-64 and arm64 have the same). */
const RESOURCES = [
  "RLIMIT_CPU",
  "RLIMIT_FSIZE",
  "RLIMIT_DATA",
  "RLIMIT_STACK",
  "RLIMIT_CORE",
  "RLIMIT_RSS",
  "RLIMIT_NPROC",
  "RLIMIT_NOFILE",
  "RLIMIT_MEMLOCK",
  "RLIMIT_AS",
  "RLIMIT_LOCKS",
  "RLIMIT_SIGPENDING",
  "RLIMIT_MSGQUEUE",
  "RLIMIT_NICE",
  "RLIMIT_RTPRIO",
  "RLIMIT_RTTIME",
];

/** INVALID_ARGUMENT for one that the kernel does not know, or whose soft limit is above its hard one. */
export function resourceLimits(limits: readonly OciResourceLimit[]): ResourceLimit[] {
  return limits.map(({ type, soft, hard }) => {
    const resource = RESOURCES.indexOf(type);
    if (resource < 0 || soft > hard) {
      const expected = resource < 0 ? `one of ${RESOURCES.join(", ")}` : "a soft limit up to the hard one";
      throw invalidArgument(`rlimit ${quote(type)} of ${soft}, ${hard}: expected ${expected}`);
    }
    return { resource, ...limit("soft", soft), ...limit("hard", hard) };
  });
}

/** JSON has 2^64 - 1 for none, and no number of JavaScript is that. */
function limit<K extends string>(name: K, value: number): { [N in K]?: number } {
  return (Number.isSafeInteger(value) ? { [name]: value } : {}) as { [N in K]?: number };
}
