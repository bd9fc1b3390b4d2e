import { containersTests } from "./cri/containers.ts";
import { mountsTests } from "./cri/mounts.ts";
import { namespacesTests } from "./cri/namespaces.ts";
import { resourcesTests } from "./cri/resources.ts";
import { securityTests } from "./cri/security.ts";
import { statsTests } from "./cri/stats.ts";
import { streamingTests } from "./cri/streaming.ts";
import { type Lab, useLab } from "./lab.ts";
import { type RuntimeCase, runtimeCases } from "./runtime-case.ts";

const concerns: Readonly<Record<string, (lab: () => Lab, runtimeCase: RuntimeCase) => void>> = {
  "Exec, attach and port forwarding": streamingTests,
  Statistics: statsTests,
  "A container's resources": resourcesTests,
  "A container's security context": securityTests,
  "A pod's namespaces and what is in them": namespacesTests,
  Mounts: mountsTests,
  "Containers from start to end": containersTests,
};

for (const runtimeCase of runtimeCases) {
  describe(`CRI through ${runtimeCase.title}`, function () {
    this.timeout(60_000);
    const lab = useLab(runtimeCase);

    for (const [title, tests] of Object.entries(concerns)) {
      describe(title, () => {
        after(() => lab().assertNothingLeft());
        tests(lab, runtimeCase);
      });
    }
  });
}
