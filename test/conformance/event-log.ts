import { setTimeout as sleep } from "node:timers/promises";
import { waitUntil } from "@kuasar/install/wait-until";
import { containerd } from "@kuasar/proto/containerd";
import type { containerd as services } from "@kuasar/proto/services";
import type { ContainerdApi } from "./containerd-api.ts";

const { events } = containerd;

export interface TaskEvent {
  /** "/tasks/exit" */
  readonly topic: string;
  readonly containerId: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const codecs: Readonly<Record<string, { decode(bytes: Uint8Array): { containerId: string } }>> = {
  "/tasks/create": events.TaskCreate,
  "/tasks/start": events.TaskStart,
  "/tasks/exit": events.TaskExit,
  "/tasks/delete": events.TaskDelete,
  "/tasks/oom": events.TaskOOM,
  "/tasks/exec-added": events.TaskExecAdded,
  "/tasks/exec-started": events.TaskExecStarted,
  "/tasks/paused": events.TaskPaused,
  "/tasks/resumed": events.TaskResumed,
  "/tasks/checkpointed": events.TaskCheckpointed,
};

/** After the last event that is expected, what must not come has had this time to come. */
const QUIET_MS = 150;

/** What containerd has published about tasks, in the order in which a subscriber hears it. */
export class EventLog {
  private readonly heard: TaskEvent[] = [];

  private constructor() {}

  /** Settles when the subscription is known to work. */
  static async open(api: ContainerdApi): Promise<EventLog> {
    const log = new EventLog();
    let envelopes = 0;
    api.subscribe((envelope) => {
      envelopes += 1;
      log.take(envelope);
    });
    // A subscription is not acknowledged: something is published until it is heard.
    const probe = { id: "event-probe", runtime: { name: "probe.v1" }, spec: { typeUrl: "probe", value: new Uint8Array() } };
    await waitUntil(
      async () => {
        await api.containers.create({ container: probe });
        await api.containers.delete({ id: probe.id });
        await sleep(20);
        return envelopes > 0;
      },
      { what: "containerd's events", timeoutMs: 10_000 },
    );
    return log;
  }

  private take({ topic, event }: services.services.events.v1.Envelope): void {
    const codec = codecs[topic];
    if (!codec && !topic.startsWith("/tasks/")) return;
    const fields = codec?.decode(event?.value ?? new Uint8Array()) ?? { containerId: "" };
    this.heard.push({ topic, containerId: fields.containerId, fields: { ...fields } });
  }

  of(containerId: string): TaskEvent[] {
    return this.heard.filter((event) => event.containerId === containerId);
  }

  /** Waits until one such event has come. @returns whether it has, before the time was over */
  async saw(containerId: string, topic: string, timeoutMs: number): Promise<boolean> {
    const come = () => this.of(containerId).some((event) => event.topic === topic);
    return waitUntil(come, { what: topic, timeoutMs, intervalMs: 5 }).catch(() => false);
  }

  /** All events of a container, once none has come for a while. */
  async settled(containerId: string): Promise<TaskEvent[]> {
    for (let before = -1; before !== this.of(containerId).length; ) {
      before = this.of(containerId).length;
      await sleep(QUIET_MS);
    }
    return this.of(containerId);
  }
}
