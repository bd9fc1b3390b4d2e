import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { trixiePrefix } from "../install/parts/trixie-prefix.mjs";

/** Debian's packages of the Go sources: they hold the .proto files that our contracts are checked against. */
const packages = [
  "golang-github-containerd-containerd-dev",
  "golang-github-containerd-cgroups-dev",
  "golang-github-containerd-ttrpc-dev",
  "golang-github-kubernetes-cri-api-dev",
];

/** The upstream files, below what fetchFacts gives. */
export const factFiles = [
  "github.com/containerd/cgroups/cgroup1/stats/metrics.proto",
  "github.com/containerd/cgroups/cgroup2/stats/metrics.proto",
  "github.com/containerd/containerd/api/events/container.proto",
  "github.com/containerd/containerd/api/events/sandbox.proto",
  "github.com/containerd/containerd/api/events/task.proto",
  "github.com/containerd/containerd/api/runtime/sandbox/v1/sandbox.proto",
  "github.com/containerd/containerd/api/runtime/task/v2/shim.proto",
  "github.com/containerd/containerd/api/runtime/task/v3/shim.proto",
  "github.com/containerd/containerd/api/services/containers/v1/containers.proto",
  "github.com/containerd/containerd/api/services/content/v1/content.proto",
  "github.com/containerd/containerd/api/services/events/v1/events.proto",
  "github.com/containerd/containerd/api/services/images/v1/images.proto",
  "github.com/containerd/containerd/api/services/sandbox/v1/sandbox.proto",
  "github.com/containerd/containerd/api/services/tasks/v1/tasks.proto",
  "github.com/containerd/containerd/api/services/ttrpc/events/v1/events.proto",
  "github.com/containerd/containerd/api/types/descriptor.proto",
  "github.com/containerd/containerd/api/types/metrics.proto",
  "github.com/containerd/containerd/api/types/mount.proto",
  "github.com/containerd/containerd/api/types/platform.proto",
  "github.com/containerd/containerd/api/types/sandbox.proto",
  "github.com/containerd/containerd/api/types/task/task.proto",
  "github.com/containerd/containerd/pkg/runtimeoptions/v1/api.proto",
  "github.com/containerd/containerd/runtime/linux/runctypes/runc.proto",
  "github.com/containerd/containerd/runtime/v2/runc/options/oci.proto",
  "github.com/containerd/ttrpc/proto/status.proto",
  "github.com/containerd/ttrpc/request.proto",
  "k8s.io/cri-api/pkg/apis/runtime/v1/api.proto",
];

/**
 * The folder with the upstream sources, fetched once into the checkout's .cache. Throws where there is no apt, no
 * Debian mirror or no network.
 */
export async function fetchFacts(report = (line) => void process.stderr.write(`${line}\n`)) {
  const cache = fileURLToPath(new URL("../.cache/facts", import.meta.url));
  const sources = (prefix) => join(prefix, "usr", "share", "gocode", "src");
  const verify = async (prefix) => {
    for (const file of factFiles) readFileSync(join(sources(prefix), file));
  };
  return sources(await trixiePrefix(cache, "protos", packages, verify, report));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(`${await fetchFacts()}\n`);
}
