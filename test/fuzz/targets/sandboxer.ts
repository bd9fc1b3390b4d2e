import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@kuasar/framework/log/logger";
import { createTtrpcServer } from "@kuasar/framework/server/ttrpc-server";
import { createNodeFixture } from "@kuasar/framework/testing/node-fixture";
import { SandboxService, TaskService } from "@kuasar/proto/definitions";
import fc from "fast-check";
import { createTransportPair } from "ttrpc-ts/memory";
import { FramePeer } from "../frame-peer.ts";
import { fuzzTarget, withinDeadline } from "../fuzz-target.ts";
import { type HostileCall, hostileCalls, requireHonest, toCall } from "../hostile-call.ts";

const NAMESPACE = "k8s.io";
const metadata = { "containerd-namespace-ttrpc": NAMESPACE, "kuasar-monitor-address": "$MONITOR" };
const tasks = hostileCalls({
  service: TaskService,
  sensible: {
    id: ["t1", "t1", "t2", "pod"],
    execId: ["", "", "", "e1", "e2"],
    bundle: ["$BUNDLES/t1", "$BUNDLES/t2"],
    signal: [9, 9, 15, 0],
    all: [false, true],
    path: ["$BUNDLES/image"],
    spec: [
      {
        typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process",
        value: asBytes('{"args":["/bin/true"]}'),
      },
    ],
    resources: [{ typeUrl: "x", value: asBytes("{}") }],
    stdin: [false],
  },
  metadata: { ...metadata, "kuasar-sandbox-id": "pod" },
});
const sandboxes = hostileCalls({
  service: SandboxService,
  sensible: { sandboxId: ["pod"], bundlePath: ["", "$BUNDLES/t1"], netnsPath: ["", "", "/fails"] },
  metadata,
});

function asBytes(text: string): unknown {
  return { "base64:": Buffer.from(text).toString("base64") };
}

type Asked = { readonly sandbox: HostileCall } | { readonly task: HostileCall };

/** It makes nothing, and so is answered at once, whatever came before. */
const PING = {
  service: SandboxService.name,
  method: "PingSandbox",
  payload: SandboxService.methods.pingSandbox.input.encode({ sandboxId: "nobody" }),
  metadata: { "containerd-namespace-ttrpc": NAMESPACE },
};
const NOT_FOUND = 5;

/** The Task and Sandbox services of a sandboxer, with an engine for tests behind them. */
export const sandboxer = fuzzTarget<readonly Asked[]>({
  name: "sandboxer",
  native: false,
  inputs: fc
    .tuple(
      fc.boolean(),
      fc.array(
        fc.oneof(
          { weight: 1, arbitrary: sandboxes.map((sandbox) => ({ sandbox })) },
          { weight: 3, arbitrary: tasks.map((task) => ({ task })) },
        ),
        { minLength: 1, maxLength: 15 },
      ),
    )
    // Mostly there is a sandbox: without one, nothing is refused for more than one reason.
    .map(([bare, asked]) => (bare ? asked : [...BEGINNING, ...asked])),
  open,
});

const plain = (method: string, fields: Record<string, unknown>): HostileCall => ({
  method,
  fields,
  metadata,
  alongside: false,
});
const BEGINNING: readonly Asked[] = [
  { sandbox: plain("CreateSandbox", { sandboxId: "pod" }) },
  { sandbox: plain("StartSandbox", { sandboxId: "pod" }) },
];

async function open() {
  const scratch = mkdtempSync(join(tmpdir(), "kuasar-fuzz-"));
  const before = process.env.TMPDIR;
  process.env.TMPDIR = scratch;
  const node = await createNodeFixture();
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
  const bundles = join(scratch, "bundles");
  for (const id of ["t1", "t2"]) {
    mkdirSync(join(bundles, id), { recursive: true });
    writeFileSync(join(bundles, id, "command"), "exec sleep 1000");
  }
  const places = { $BUNDLES: bundles, $MONITOR: node.monitor.address };
  const server = createTtrpcServer(node.domain, silentLogger);
  const connect = () => {
    const [ours, theirs] = createTransportPair();
    server.serve(theirs);
    return new FramePeer(ours);
  };

  async function ask(peer: FramePeer, asked: Asked): Promise<void> {
    const [service, call] = "task" in asked ? [TaskService, asked.task] : [SandboxService, asked.sandbox];
    const answer = await peer.call(toCall(service, call, places));
    requireHonest(answer, call.method);
  }

  /** Every sandbox goes, and with it whoever waits. */
  async function clear(): Promise<void> {
    for (const { namespace, id } of node.domain.registry.all()) await node.domain.sandboxes.shutdown(namespace, id);
  }

  function requireNothingLeft(): void {
    const strange = readdirSync(scratch).filter((name) => name !== "bundles" && !name.startsWith("kuasar-"));
    const left = readdirSync(node.dir).filter((name) => readdirSync(join(node.dir, name)).length > 0);
    if (strange.length + left.length > 0) throw new Error(`left behind: ${[...strange, ...left].join(", ")}`);
  }

  return {
    async feed(input: readonly Asked[]) {
      const peer = connect();
      const pending: Promise<void>[] = [];
      for (const asked of input) {
        const call = "task" in asked ? asked.task : asked.sandbox;
        const answered = ask(peer, asked);
        pending.push(answered);
        answered.catch(() => undefined);
        if (!call.alongside && !call.method.startsWith("Wait")) await answered;
      }
      const ping = await connect().call(PING);
      if (ping.code !== NOT_FOUND) throw new Error(`the sandboxer no longer serves: ${ping.code} ${ping.message}`);
      await withinDeadline("what changes something", node.domain.idle());
      await withinDeadline("the end of all sandboxes", clear());
      await withinDeadline("the answers of all calls", Promise.all(pending));
      peer.close();
      requireNothingLeft();
    },
    async close() {
      server.close();
      await clear().catch(() => undefined);
      await node.close();
      rmSync(scratch, { recursive: true });
    },
  };
}
