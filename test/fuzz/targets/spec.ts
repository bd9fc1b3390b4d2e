import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode, SandboxError } from "@kuasar/framework/error/sandbox-error";
import { readSpec } from "@kuasar/framework/oci/read-spec";
import { planFromPodConfig } from "@kuasar/framework/pause/plan-from-pod-config";
import { planFromSpec } from "@kuasar/framework/pause/plan-from-spec";
import { pauseSpawnRequest } from "@kuasar/framework/pause/spawn-pause";
import { toSandboxOptions } from "@kuasar/framework/service/wire-request";
import { kuasar, runtime } from "@kuasar/proto/containerd";
import { contracts } from "@kuasar/proto/message-arbitraries";
import fc from "fast-check";
import { prepareSpec } from "../../../sandboxers/runc/src/task/prepare-bundle.ts";
import { parseBundleRecord, parseBundleSpec } from "../../../shim/src/bundle-texts.ts";
import { type Change, changed, changes } from "../documents.ts";
import { fuzzTarget } from "../fuzz-target.ts";
import { type Damage, damaged, damages, real } from "../hostile.ts";
import { hostileFields } from "../hostile-call.ts";

/** What containerd writes for a pause container, with all that is read of it. */
const SPEC = {
  ociVersion: "1.1.0",
  process: { user: { uid: 65535, gid: 65535, additionalGids: [1] }, args: ["/pause"], cwd: "/", oomScoreAdj: -998 },
  root: { path: "rootfs", readonly: true },
  hostname: "pod",
  domainname: "d",
  mounts: [{ destination: "/dev/shm", type: "bind", source: "/run/shm", options: ["rbind", "ro"] }],
  annotations: { "io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "pod" },
  hooks: { poststart: [{ path: "/bin/true" }], poststop: [] },
  linux: {
    namespaces: [{ type: "pid" }, { type: "network", path: "/proc/self/ns/net" }, { type: "uts" }, { type: "ipc" }],
    uidMappings: [{ containerID: 0, hostID: 1, size: 1 }],
    gidMappings: [{ containerID: 0, hostID: 1, size: 1 }],
    sysctl: { "kernel.shm_rmid_forced": "1" },
    cgroupsPath: "/kubepods/pod/x",
    resources: { cpu: { shares: 2 }, memory: { limit: 1 }, pids: { limit: 1 } },
  },
};
const RECORD = { role: "sandbox", sandboxId: "pod", netnsPath: "", sandboxer: "runc", socket: "/run/s.sock" };
const PodConfig = runtime.v1.PodSandboxConfig;

type Input =
  | { readonly spec: readonly Change[]; readonly damage?: readonly Damage[] }
  | { readonly record: readonly Change[]; readonly damage?: readonly Damage[] }
  | { readonly pod: unknown; readonly damage?: readonly Damage[] };

const podConfigs = hostileFields(contracts.lookupType(PodConfig.typeName), {
  linux: [{ cgroupParent: "/pods", sysctls: { "net.ipv4.ip_forward": "1" } }, undefined],
  hostname: ["pod"],
});

/** What reads a bundle's config.json and kuasar.json, and a pod's CRI config. */
export const spec = fuzzTarget<Input>({
  name: "spec",
  native: false,
  inputs: fc.oneof(
    { weight: 4, arbitrary: withDamage("spec", changes) },
    { weight: 1, arbitrary: withDamage("record", changes) },
    { weight: 2, arbitrary: withDamage("pod", podConfigs) },
  ) as fc.Arbitrary<Input>,
  async open() {
    const bundle = mkdtempSync(join(tmpdir(), "kuasar-fuzz-"));
    mkdirSync(join(bundle, "rootfs"));
    return {
      async feed(input: Input) {
        const bytes = bytesOf(input);
        if ("record" in input) {
          refusedInWords(() => parseBundleRecord(bytes.toString()));
        } else if ("pod" in input) {
          refused(() => {
            const { pod } = toSandboxOptions({ typeUrl: PodConfig.typeName, value: bytes });
            if (pod) encodable(() => planFromPodConfig(pod, "pod", "/proc/self/ns/net"));
          });
        } else {
          writeFileSync(join(bundle, "config.json"), bytes);
          refusedInWords(() => parseBundleSpec(bytes.toString(), "pod"));
          refused(() => {
            const read = readSpec(bundle);
            if (read) encodable(() => planFromSpec(read, "pod"));
          });
          refused(() => prepareSpec(bundle, undefined, "1.0"));
        }
      },
      async close() {
        rmSync(bundle, { recursive: true });
      },
    };
  },
});

function withDamage(name: string, arbitrary: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 5, arbitrary: fc.record({ [name]: arbitrary }) },
    {
      weight: 1,
      arbitrary: fc.record({ [name]: arbitrary, damage: damages }),
    },
  );
}

function bytesOf(input: Input): Buffer {
  let bytes: Uint8Array;
  if ("pod" in input) bytes = PodConfig.encode(PodConfig.create(real(input.pod) as object));
  else if ("spec" in input) bytes = Buffer.from(JSON.stringify(changed(SPEC, input.spec)));
  else bytes = Buffer.from(JSON.stringify(changed(RECORD, input.record)));
  return Buffer.from(input.damage ? damaged(bytes, input.damage) : bytes);
}

/** What is planned must be something that can be asked of a monitor. */
function encodable(plan: () => ReturnType<typeof planFromSpec>): void {
  const request = pauseSpawnRequest("pod", "/bin/catatonit", plan(), []);
  const { SpawnRequest } = kuasar.monitor.v1;
  SpawnRequest.decode(SpawnRequest.encode(SpawnRequest.create(request as object)));
}

function refused(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    const codes: readonly number[] = [ErrorCode.INVALID_ARGUMENT, ErrorCode.FAILED_PRECONDITION];
    if (!(error instanceof SandboxError && codes.includes(error.code))) throw error;
  }
}

/** The shim's own parsers: an Error is the refusal, and says what was expected. */
function refusedInWords(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    if (!/^(config|kuasar)\.json: expected/.test((error as Error).message)) throw error;
  }
}
