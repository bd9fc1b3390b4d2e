import * as sys from "sys";
import { createServer } from "ttrpc-ts";
import { createExitWatch } from "./exit-watch.ts";
import { createLog, type Log } from "./log.ts";
import { createProcessTable } from "./monitor/process-table.ts";
import { registerMonitor } from "./monitor/service.ts";
import { removeIfThere } from "./platform/files.ts";
import { runLoop, setUncaughtHandler, sleep, watch } from "./platform/loop.ts";
import { pathOfAddress, serveConnections } from "./platform/unix-socket.ts";
import { Pod } from "./pod.ts";
import { createPublisher } from "./publisher.ts";
import { createSandboxCalls } from "./sandbox-calls.ts";
import { createSandboxService } from "./sandbox-service.ts";
import type { SandboxerChoice } from "./sandboxer-choice.ts";
import { connectSandboxer } from "./sandboxer-connection.ts";
import { createTaskEvents } from "./task-events.ts";
import { createTaskService } from "./task-service.ts";
import { watchUse } from "./use-watch.ts";

export interface ShimSettings {
  readonly namespace: string;
  readonly sandboxId: string;
  /** Of the container that the shim was started for. */
  readonly bundle: string;
  /** unix:///..., where the shim listens. */
  readonly address: string;
  readonly listener: number;
  /** containerd's gRPC socket, by which a sandboxer can ask it for content; "" if the caller did not say. */
  readonly containerdAddress: string;
  /** containerd's ttrpc socket, for events. */
  readonly ttrpcAddress: string;
  readonly sandboxer: SandboxerChoice;
  readonly debug: boolean;
}

const PR_SET_CHILD_SUBREAPER = 36;
const SIGTERM = 15;
const SIGINT = 2;
const FLUSH_MS = 5_000;
/** Go's ttrpc client may miss an answer that the end of its connection comes right behind: it is given time to read. */
const LAST_ANSWER_MS = 100;

/** Serves one pod until containerd shuts the shim down. */
export function serve(settings: ShimSettings): void {
  sys.openLoop();
  sys.prctl(PR_SET_CHILD_SUBREAPER, 1);
  const { namespace, sandboxId, address } = settings;
  const log = createLog({ runtime: "io.containerd.kuasar.v2", namespace, id: sandboxId }, settings.debug);
  setUncaughtHandler((error) => log.error("an error that nothing handled", { error, stack: (error as Error).stack }));

  const pod = new Pod(namespace, sandboxId);
  const table = createProcessTable(namespace);
  const publisher = createPublisher(settings.ttrpcAddress, namespace, log);
  const sandboxer = connectSandboxer(settings.sandboxer, {
    "containerd-namespace-ttrpc": [namespace],
    "kuasar-sandbox-id": [sandboxId],
  });
  const events = createTaskEvents(publisher);
  const server = createServer({ onError: (error) => log.warn("ttrpc", { error }) });

  let ending = false;
  const end = (why: string) => {
    if (ending) return;
    ending = true;
    log.debug("ending", { why });
    removeIfThere(pathOfAddress(address));
    const leave = async () => {
      // The answer to the call that asked for it goes out first.
      await sleep(LAST_ANSWER_MS);
      await server.shutdown(FLUSH_MS);
      await publisher.flushed(FLUSH_MS);
      sys.exit(0);
    };
    leave().catch((error) => {
      log.error("ending", { error });
      sys.exit(1);
    });
  };

  const parts = {
    pod,
    sandboxer,
    sandboxCalls: createSandboxCalls(sandboxer),
    events,
    exits: createExitWatch(sandboxer, table, events, log),
    log,
    sandboxMetadata: {
      "kuasar-monitor-address": [address],
      ...(settings.containerdAddress ? { "kuasar-containerd-address": [settings.containerdAddress] } : {}),
    },
    onShutdown: () => end("shut down"),
  };
  const tasks = createTaskService(parts);
  const sandbox = createSandboxService(parts);
  registerMonitor(server, table, (id, kills) => {
    const task = pod.task(id);
    task.oomKills = Math.max(task.oomKills, kills);
    events.oomKills(task);
  });
  server.registerRaw("containerd.task.v2.Task", (payload, context) => tasks.handle(payload, context));
  server.registerRaw("containerd.task.v3.Task", (payload, context) => tasks.handle(payload, context));
  server.registerRaw("containerd.runtime.sandbox.v1.Sandbox", (payload, context) => sandbox.handle(payload, context));
  serveConnections(settings.listener, (transport) => server.serve(transport));

  watchSignals(log);
  watchUse(pod, settings.bundle, () => end("nobody has any use for this shim"));
  runLoop();
}

/** As the runc shim: signals that a terminal or a service manager sends are no reason to leave a pod alone. */
function watchSignals(log: Log): void {
  const signals = sys.signalFd([SIGTERM, SIGINT]);
  watch(signals, sys.EPOLLIN, () => {
    for (let signal = sys.readSignal(signals); signal !== 0; signal = sys.readSignal(signals)) {
      log.info("signal ignored while the pod is served", { signal });
    }
  });
}
