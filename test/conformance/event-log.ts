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
  private readonly taken: TaskEvent[] = [];

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
    const probe = {
      id: "event-probe",
      runtime: { name: "probe.v1" },
      spec: { typeUrl: "probe", value: new Uint8Array() },
    };
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
    this.taken.push({ topic, containerId: fields.containerId, fields: { ...fields } });
  }

  of(containerId: string): TaskEvent[] {
    return this.taken.filter((event) => event.containerId === containerId);
  }

  /** Waits until such an event of a container has come. @returns whether it has, before the time was over */
  async heard(containerId: string, isIt: (event: TaskEvent) => boolean, timeoutMs: number): Promise<boolean> {
    const come = () => this.of(containerId).some(isIt);
    return waitUntil(come, { what: "an event", timeoutMs, intervalMs: 5 }).catch(() => false);
  }

  saw(containerId: string, topic: string, timeoutMs: number): Promise<boolean> {
    return this.heard(containerId, (event) => event.topic === topic, timeoutMs);
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
