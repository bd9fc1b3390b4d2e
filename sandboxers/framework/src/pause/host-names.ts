import { invalidArgument } from "../error/sandbox-error.ts";
import { quote } from "../identifier/identifier.ts";
import type { Namespace } from "../monitor/monitor.ts";

/**
 * Throws INVALID_ARGUMENT for a name that would be the host's: one asked for without a uts namespace to set it in.
 * Contract: runc's `libcontainer/configs/validate`, `uts`.
 */
export function checkHostNames(
  names: { readonly hostname: string; readonly domainname: string },
  namespaces: readonly Namespace[],
  id: string,
): void {
  if (namespaces.some(({ type }) => type === "uts")) {
    return;
  }
  for (const [field, name] of Object.entries(names)) {
    if (name !== "") {
      throw invalidArgument(`sandbox ${id}: unable to set ${field} ${quote(name)} without a private UTS namespace`);
    }
  }
}
