import { silentLogger } from "@kuasar/framework/log/logger";
import { createTtrpcServer } from "@kuasar/framework/server/ttrpc-server";
import { createNodeFixture, NAMESPACE } from "@kuasar/framework/testing/node-fixture";
import { containerd } from "@kuasar/proto/containerd";
import { SandboxService, TaskService } from "@kuasar/proto/definitions";
import fc from "fast-check";
import { createTransportPair } from "ttrpc-ts/memory";
import { FramePeer } from "../frame-peer.ts";
import { fuzzTarget, withinDeadline } from "../fuzz-target.ts";
import { type TaskCall, TaskModel, type Verb } from "../task-model.ts";

const VERBS: readonly Verb[] = ["create", "start", "exec", "kill", "delete", "pause", "resume", "state"];
const SIGKILL = 9;
const STATUS = { CREATED: 1, RUNNING: 2, STOPPED: 3, PAUSED: 4 } as const;

const calls = fc.array(
  fc.record({
    verb: fc.constantFrom(...VERBS),
    id: fc.constantFrom("t1", "t1", "t2"),
    execId: fc.constantFrom("", "", "e1", "e2"),
  }),
  { minLength: 1, maxLength: 40 },
);

/** A sandboxer's Task service, one call after the other: each answer's code, and each state, as a model has them. */
export const taskStates = fuzzTarget<readonly TaskCall[]>({
  name: "task-states",
  native: false,
  inputs: calls,
  async open() {
    const node = await createNodeFixture();
    const server = createTtrpcServer(node.domain, silentLogger);
    const [ours, theirs] = createTransportPair();
    server.serve(theirs);
    const peer = new FramePeer(ours);
    const bundles = new Map(["t1", "t2"].map((id) => [id, node.taskRequest(id, "exec sleep 1000").bundle]));
    const metadata = {
      "containerd-namespace-ttrpc": NAMESPACE,
      "kuasar-monitor-address": node.monitor.address,
      "kuasar-sandbox-id": "pod",
    };
    const sandbox = async (method: string) => {
      const payload = containerd.runtime.sandbox.v1.StartSandboxRequest.encode({ sandboxId: "pod" });
      const { code, message } = await peer.call({ service: SandboxService.name, method, payload, metadata });
      if (code !== 0) throw new Error(`${method}: code ${code} ${message}`);
    };
    const ask = (method: keyof typeof TaskService.methods, fields: object) => {
      const { name, input } = TaskService.methods[method];
      const payload = (input as { encode(fields: object): Uint8Array }).encode(fields);
      return peer.call({ service: TaskService.name, method: name, payload, metadata });
    };
    const make = async ({ verb, id, execId }: TaskCall) => {
      const spec = { typeUrl: "x", value: Buffer.from('{"args":["/bin/sleep","1000"]}') };
      if (verb === "create") return ask("create", { id, bundle: bundles.get(id) });
      if (verb === "exec") return ask("exec", { id, execId: execId || "e1", spec });
      return ask(verb, { id, execId, signal: SIGKILL, all: execId === "" });
    };

    return {
      async feed(input) {
        await sandbox("CreateSandbox");
        await sandbox("StartSandbox");
        const model = new TaskModel();
        try {
          for (const [index, given] of input.entries()) {
            const call = given.verb === "exec" ? { ...given, execId: given.execId || "e1" } : given;
            const { verb, id, execId } = call;
            // A start in a frozen cgroup waits for its thaw.
            if (verb === "start" && execId !== "" && model.status(id, "") === "PAUSED") continue;
            const what = `call ${index}, ${verb} ${id}/${execId}`;
            const expected = model.expect(call);
            const { code, message } = await make(call);
            if (code !== expected) throw new Error(`${what}: expected code ${expected}, got ${code} ${message}`);
            // Exits are heard of a little later.
            const ended = ["", "e1", "e2"].filter((each) => model.status(id, each) === "STOPPED");
            if (verb === "kill") await Promise.all(ended.map((each) => ask("wait", { id, execId: each })));
            const wanted = model.status(id, execId);
            const told = await ask("state", { id, execId });
            const { status } = containerd.task.v2.StateResponse.decode(told.payload);
            const right = wanted ? told.code === 0 && Number(status) === STATUS[wanted] : told.code === 5;
            if (!right) throw new Error(`${what}: expected state ${wanted}, got ${status}, code ${told.code}`);
          }
        } finally {
          await sandbox("ShutdownSandbox");
        }
      },
      async close() {
        peer.close();
        server.close();
        await withinDeadline("the end of the node", node.close());
      },
    };
  },
});
