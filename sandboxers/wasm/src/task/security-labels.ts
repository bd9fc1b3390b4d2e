import { existsSync, readFileSync } from "node:fs";
import { failedPrecondition } from "@kuasar/framework/error/sandbox-error";
import { quote } from "@kuasar/framework/identifier/identifier";
import type { Credentials } from "@kuasar/framework/monitor/monitor";
import type { OciProcess } from "@kuasar/framework/oci/spec";

const APPARMOR_ENABLED = "/sys/module/apparmor/parameters/enabled";
const SELINUX = "/sys/fs/selinux/enforce";

/**
 * What a spec says that its process is confined by. FAILED_PRECONDITION where the kernel does not do that: a container
 * that was to be confined does not run without.
 */
export function securityLabels(process: OciProcess): Pick<Credentials, "apparmorProfile" | "selinuxLabel"> {
  const apparmorProfile = process.apparmorProfile || "";
  const selinuxLabel = process.selinuxLabel || "";
  if (apparmorProfile !== "" && !isAppArmorEnabled()) {
    throw failedPrecondition(`apparmorProfile is ${quote(apparmorProfile)}: AppArmor is not enabled on this node`);
  }
  if (selinuxLabel !== "" && !existsSync(SELINUX)) {
    throw failedPrecondition(`selinuxLabel is ${quote(selinuxLabel)}: SELinux is not enabled on this node`);
  }
  return { apparmorProfile, selinuxLabel };
}

function isAppArmorEnabled(): boolean {
  return existsSync(APPARMOR_ENABLED) && readFileSync(APPARMOR_ENABLED, "latin1").startsWith("Y");
}
