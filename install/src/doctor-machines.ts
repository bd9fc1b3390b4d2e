import { release } from "node:os";
import { whyNoKvm } from "@kuasar/vmm-sandboxer/hypervisor/kvm";
import { execa } from "execa";
import { type Check, type Diagnosis, note, ok } from "./diagnosis.ts";
import { describeNeed, fileServerNeed, guestImagePlace, hypervisorNeed, networkNeeds } from "./machine-needs.ts";

/** What pods in virtual machines need. A node without it runs all others: nothing here is a problem. */
export const machineChecks: readonly Check[] = [
  { what: "virtual machines: hypervisor", examine: hypervisor },
  { what: "virtual machines: processor", examine: processor },
  {
    what: "virtual machines: files",
    examine: () => {
      const need = fileServerNeed();
      return need.path === undefined ? note(`${describeNeed(need)} is not installed`) : ok(need.path);
    },
  },
  {
    what: "virtual machines: network",
    examine: () => {
      const missing = networkNeeds().filter(({ path }) => path === undefined);
      if (missing.length > 0) return note(`not installed: ${missing.map(describeNeed).join(", ")}`);
      return ok(
        networkNeeds()
          .map(({ path }) => path)
          .join(", "),
      );
    },
  },
  {
    what: "virtual machines: port-forward",
    examine: () => {
      const [major = 0, minor = 0] = release().split(".").map(Number);
      const enough = major > 5 || (major === 5 && minor >= 9);
      return enough ? ok("by the kernel (sk_lookup)") : note(`${release()}: port-forward takes Linux 5.9`);
    },
  },
  {
    what: "virtual machines: guest",
    examine: () => {
      const { folder, present } = guestImagePlace();
      return present ? ok(folder) : note(`nothing to boot in ${folder}: kuasar install or kuasar guest-image makes it`);
    },
  },
];

async function hypervisor(): Promise<Diagnosis> {
  const need = hypervisorNeed();
  if (need.path === undefined) return note(`${describeNeed(need)} is not installed`);
  const { stdout } = await execa(need.path, ["--version"]);
  return ok(`${stdout.split("\n")[0]} at ${need.path}`);
}

function processor(): Diagnosis {
  const missing = whyNoKvm();
  return missing === "" ? ok("/dev/kvm") : note(`emulated (TCG), which is slow: ${missing}`);
}
