import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "../log/logger.ts";
import { createMonitorClient } from "../monitor/monitor-client.ts";
import type { Monitors } from "../monitor/own-monitor.ts";
import type { SandboxRequest } from "../sandbox/sandboxer.ts";
import { createDomain, type Domain } from "../server/domain.ts";
import { createStateStore } from "../store/state-store.ts";
import type { TaskRequest } from "../task/task-engine.ts";
import { type FakeMonitor, startFakeMonitor } from "./fake-monitor.ts";
import { createFakeSandboxer } from "./fake-sandboxer.ts";

/** For tests only: a node with a state directory, a monitor, and sandboxers that come and go. */
export interface NodeFixture {
  readonly dir: string;
  readonly monitor: FakeMonitor;
  readonly sandboxer: ReturnType<typeof createFakeSandboxer>;
  /** The sandboxer that runs now. */
  domain: Domain;
  /** As if the sandboxer had been killed and started again. */
  restart(): Promise<void>;
  sandboxRequest(id: string, change?: Partial<SandboxRequest>): SandboxRequest;
  /** With a bundle whose init process is this shell command. */
  taskRequest(id: string, command: string): TaskRequest;
  close(): Promise<void>;
}

export const NAMESPACE = "k8s.io";

export async function createNodeFixture(): Promise<NodeFixture> {
  const root = mkdtempSync(join(tmpdir(), "kuasar-"));
  const dir = join(root, "state");
  const sandboxer = createFakeSandboxer();
  const started: FakeMonitor[] = [];
  let launched = 0;
  const start = async (name: string) => {
    const monitor = await startFakeMonitor(join(root, name));
    started.push(monitor);
    return monitor;
  };
  const monitors: Monitors = {
    connect: createMonitorClient,
    launch: async () => createMonitorClient((await start(`own${launched++}`)).address),
  };
  const boot = async () => {
    const domain = createDomain({ sandboxer, store: createStateStore(dir), monitors, log: silentLogger });
    await domain.recover();
    return domain;
  };
  const monitor = await start("monitor");
  const fixture: NodeFixture = {
    dir,
    monitor,
    sandboxer,
    domain: await boot(),
    async restart() {
      fixture.domain = await boot();
    },
    sandboxRequest: (id, change = {}) => ({
      namespace: NAMESPACE,
      id,
      bundle: "",
      rootfs: [],
      netnsPath: "",
      monitorAddress: monitor.address,
      containerdAddress: "",
      lone: false,
      ...change,
    }),
    taskRequest(id, command) {
      const bundle = join(root, "bundles", id);
      mkdirSync(bundle, { recursive: true });
      writeFileSync(join(bundle, "command"), command);
      const io = { stdin: "", stdout: "", stderr: "", terminal: false };
      return { id, bundle, rootfs: [], io, checkpoint: "", parentCheckpoint: "" };
    },
    async close() {
      await Promise.all(started.map((each) => each.close()));
      rmSync(root, { recursive: true, force: true });
    },
  };
  return fixture;
}
