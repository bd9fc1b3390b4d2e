import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger as quiet } from "@kuasar/framework/log/logger";
import { createTtrpcServer } from "@kuasar/framework/server/ttrpc-server";
import { createNodeFixture, NAMESPACE } from "@kuasar/framework/testing/node-fixture";
import { processTable } from "@kuasar/install/process-table";
import { containerd, google, runtimeoptions } from "@kuasar/proto/containerd";
import { TaskService } from "@kuasar/proto/definitions";
import { connect, listen } from "ttrpc-ts/node";
import { type Call, FramePeer } from "./frame-peer.ts";
import { type NativeServer, nativeProgram, nativeServer } from "./native-server.ts";
import { sanitizerOptions } from "./sanitizer.ts";

/** A question that every shim answers. */
export const CONNECT: Call = {
  service: TaskService.name,
  method: "Connect",
  payload: TaskService.methods.connect.input.encode({ id: "pod" }),
};

export const SHIM = "containerd-shim-kuasar-v2";

/** A sandboxer with an engine for tests, and what is needed to start real shims in front of it. */
export interface ShimStage {
  readonly scratch: string;
  /** The sandboxer's. */
  readonly socket: string;
  /** What $NAMES in inputs stand for. */
  readonly places: Readonly<Record<string, string>>;
  /** Flags and environment of containerd's. */
  readonly flags: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** The runtime's options, with this stage's sandboxer in them. */
  options(): Uint8Array;
  /** Makes a bundle anew; its config.json says of which pod it is. */
  bundle(id: string, annotations: Readonly<Record<string, string>>): string;
  /** A shim that serves the pod. */
  startPod(): Promise<NativeServer>;
  /** Removes everything that the sandboxer knows. */
  clear(): Promise<void>;
  /** Processes that were started from this stage's folder and still run. */
  shims(): number[];
  close(): Promise<void>;
}

const CONTAINER_TYPE = "io.kubernetes.cri.container-type";
const POD_ID = "io.kubernetes.cri.sandbox-id";

export async function openShimStage(): Promise<ShimStage> {
  const scratch = mkdtempSync(join(tmpdir(), "kuasar-fuzz-"));
  const node = await createNodeFixture();
  const sandboxer = createTtrpcServer(node.domain, quiet);
  const socket = join(scratch, "sandboxer.sock");
  const listener = await listen(socket, (transport) => sandboxer.serve(transport));
  const flags = ["-namespace", NAMESPACE, "-address", join(scratch, "containerd.sock")];
  const env = { PATH: process.env.PATH, TTRPC_ADDRESS: "", ...sanitizerOptions(scratch) };

  const stage: ShimStage = {
    scratch,
    socket,
    places: { $BUNDLES: join(scratch, "bundles"), $SCRATCH: scratch },
    flags,
    env,
    options: () => {
      const configBody = Buffer.from(`sandboxer = "fuzz"\nsocket = ${JSON.stringify(socket)}\n`);
      const typeUrl = runtimeoptions.v1.Options.typeName;
      return google.protobuf.Any.encode({ typeUrl, value: runtimeoptions.v1.Options.encode({ configBody }) });
    },
    bundle(id, annotations) {
      const bundle = join(scratch, "bundles", id);
      rmSync(bundle, { recursive: true, force: true });
      mkdirSync(bundle, { recursive: true });
      writeFileSync(join(bundle, "config.json"), JSON.stringify({ ociVersion: "1.1.0", annotations }));
      writeFileSync(join(bundle, "command"), "exec sleep 1000");
      writeFileSync(join(bundle, "log"), "");
      return bundle;
    },
    async startPod() {
      for (const id of ["t1", "t2"]) stage.bundle(id, { [CONTAINER_TYPE]: "container", [POD_ID]: "pod" });
      const cwd = stage.bundle("pod", { [CONTAINER_TYPE]: "sandbox", [POD_ID]: "pod" });
      const program = nativeProgram(SHIM);
      const options = { cwd, env, input: stage.options(), encoding: "utf8", timeout: 10_000 } as const;
      const address = execFileSync(program, [...flags, "-id", "pod", "start"], options);
      const path = address.trim().replace("unix://", "");
      const peer = new FramePeer(await connect(path));
      const { shimPid } = containerd.task.v2.ConnectResponse.decode((await peer.call(CONNECT)).payload);
      peer.close();
      return nativeServer(shimPid, path, { log: join(cwd, "log"), scratch }, [CONNECT]);
    },
    async clear() {
      for (const { namespace, id } of node.domain.registry.all()) await node.domain.sandboxes.shutdown(namespace, id);
    },
    shims: () =>
      processTable()
        .filter(({ argv, state }) => state !== "Z" && argv.includes(flags[3] as string))
        .map(({ pid }) => pid),
    async close() {
      for (const pid of stage.shims()) process.kill(pid, "SIGKILL");
      await listener.close();
      sandboxer.close();
      await node.close();
      rmSync(scratch, { recursive: true });
    },
  };
  return stage;
}
