import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@kuasar/framework/log/logger";
import { createTtrpcServer } from "@kuasar/framework/server/ttrpc-server";
import { createNodeFixture, NAMESPACE } from "@kuasar/framework/testing/node-fixture";
import { SandboxService } from "@kuasar/proto/definitions";
import { createTransportPair } from "ttrpc-ts/memory";
import { FramePeer } from "../frame-peer.ts";
import { fuzzTarget, withinDeadline } from "../fuzz-target.ts";
import { makeCalls, type PodCall, podCalls } from "../pod-calls.ts";

const metadata = {
  "containerd-namespace-ttrpc": NAMESPACE,
  "kuasar-monitor-address": "$MONITOR",
  "kuasar-sandbox-id": "pod",
};
const sandboxCall = (method: string): PodCall => ({
  sandbox: { method, fields: { sandboxId: "pod" }, metadata, alongside: false },
});

/** It makes nothing, and so is answered at once, whatever came before. */
const PING = {
  service: SandboxService.name,
  method: "PingSandbox",
  payload: SandboxService.methods.pingSandbox.input.encode({ sandboxId: "nobody" }),
  metadata: { "containerd-namespace-ttrpc": NAMESPACE },
};
const NOT_FOUND = 5;

/** The Task and Sandbox services of a sandboxer, with an engine for tests behind them. */
export const sandboxer = fuzzTarget({
  name: "sandboxer",
  native: false,
  inputs: podCalls(metadata, ["CreateSandbox", "StartSandbox"].map(sandboxCall)),
  open,
});

async function open() {
  const scratch = mkdtempSync(join(tmpdir(), "kuasar-fuzz-"));
  const node = await createNodeFixture();
  for (const id of ["t1", "t2", "pod"]) {
    mkdirSync(join(scratch, id));
    writeFileSync(join(scratch, id, "command"), "exec sleep 1000");
  }
  const places = { $BUNDLES: scratch, $MONITOR: node.monitor.address };
  const server = createTtrpcServer(node.domain, silentLogger);
  const connect = () => {
    const [ours, theirs] = createTransportPair();
    server.serve(theirs);
    return new FramePeer(ours);
  };

  /** Every sandbox goes, and with it whoever waits. */
  async function clear(): Promise<void> {
    for (const { namespace, id } of node.domain.registry.all()) await node.domain.sandboxes.shutdown(namespace, id);
  }

  function requireNothingLeft(): void {
    const state = readdirSync(node.dir).flatMap((name) => readdirSync(join(node.dir, name)));
    const bundles = readdirSync(scratch).filter((name) => !["t1", "t2", "pod"].includes(name));
    if (state.length + bundles.length > 0) throw new Error(`left behind: ${[...state, ...bundles].join(", ")}`);
  }

  return {
    async feed(calls: readonly PodCall[]) {
      const peer = connect();
      const waits = await makeCalls(peer, calls, places);
      const ping = await connect().call(PING);
      if (ping.code !== NOT_FOUND) throw new Error(`the sandboxer no longer serves: ${ping.code} ${ping.message}`);
      await withinDeadline("what changes something", node.domain.idle());
      await withinDeadline("the end of all sandboxes", clear());
      await withinDeadline("the answers to all Waits", Promise.all(waits));
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
