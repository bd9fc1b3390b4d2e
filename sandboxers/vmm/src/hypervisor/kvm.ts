import { accessSync, constants, readFileSync } from "node:fs";

/** Why this host cannot run machines by its hardware; "" if it can. */
export function whyNoKvm(): string {
  try {
    accessSync("/dev/kvm", constants.R_OK | constants.W_OK);
  } catch {
    return "no /dev/kvm";
  }
  // A nested host may have the device, and a processor that machines hang on.
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1];
  return flags === undefined || /\b(vmx|svm)\b/.test(flags) ? "" : "a /dev/kvm, but no vmx or svm in /proc/cpuinfo";
}
