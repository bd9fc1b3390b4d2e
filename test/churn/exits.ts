import { setTimeout as sleep } from "node:timers/promises";
import { criNamespace } from "@kuasar/install/private-containerd";
import { containerd } from "@kuasar/proto/containerd";
import { connectContainerd } from "../conformance/containerd-api.ts";

const { TaskExit } = containerd.events;
const RECONNECT_MS = 20;

/** A TaskExit event of a container's init process. */
export interface ToldExit {
  readonly code: number;
  readonly at: number;
  /** Which subscription heard it: a new one begins with each containerd. */
  readonly subscription: number;
}

/** Hears every TaskExit that containerd publishes, over its restarts. */
export class Exits {
  private readonly told = new Map<string, ToldExit[]>();
  private subscription = 0;
  private closed = false;
  private cancel: () => void = () => undefined;
  private readonly listening: Promise<void>;

  constructor(socket: string) {
    this.listening = this.listen(socket);
  }

  /** Of the container's init process. */
  of(containerId: string): readonly ToldExit[] {
    return this.told.get(containerId) ?? [];
  }

  async close(): Promise<void> {
    this.closed = true;
    this.cancel();
    await this.listening;
  }

  private async listen(socket: string): Promise<void> {
    while (!this.closed) {
      this.subscription += 1;
      const api = connectContainerd(socket, criNamespace);
      await new Promise<void>((resolve) => {
        this.cancel = resolve;
        api.subscribe(({ topic, event }) => {
          if (topic === "/tasks/exit") this.take(event?.value ?? new Uint8Array());
        }, resolve);
      });
      api.close();
      await sleep(RECONNECT_MS);
    }
  }

  private take(bytes: Uint8Array): void {
    const { containerId, id, exitStatus } = TaskExit.decode(bytes);
    if (id !== containerId) return;
    const told = this.told.get(containerId) ?? [];
    told.push({ code: exitStatus, at: Date.now(), subscription: this.subscription });
    this.told.set(containerId, told);
  }
}
