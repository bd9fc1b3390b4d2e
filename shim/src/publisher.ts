import { containerd } from "@kuasar/proto/shim";
import * as sys from "sys";
import { type Client, createClient } from "ttrpc-ts";
import type { Log } from "./log.ts";
import { sleep, startTimer } from "./platform/loop.ts";
import { connect } from "./platform/unix-socket.ts";

/** Publishes task events to containerd, in the order in which they are given, each until containerd has taken it. */
export interface Publisher {
  /** typeName is the event's protobuf name; encode is called once the event is sent. */
  publish(topic: string, typeName: string, encode: () => Uint8Array): void;
  /** Settles when every event is out, or at the deadline. */
  flushed(deadlineMs: number): Promise<void>;
}

const CALL_TIMEOUT_MS = 5_000;
// Not sooner: a containerd that was just restarted takes events before anyone in it (CRI) has asked for them.
const RETRY_MS = 1_000;
/** Of a pod whose containerd does not come back: the oldest are dropped, and the log says so. */
const QUEUE_LIMIT = 10_000;

/** address: containerd's ttrpc socket (TTRPC_ADDRESS). "" publishes nothing, as when no containerd is there at all. */
export function createPublisher(address: string, namespace: string, log: Log): Publisher {
  return new QueuePublisher(address, namespace, log);
}

interface Event {
  readonly timestamp: { readonly seconds: number; readonly nanos: number };
  readonly topic: string;
  readonly typeName: string;
  encode(): Uint8Array;
}

class QueuePublisher implements Publisher {
  private readonly queue: Event[] = [];
  private sending = false;
  private client: Client | undefined;
  private whenEmpty: Array<() => void> = [];

  constructor(
    private readonly address: string,
    private readonly namespace: string,
    private readonly log: Log,
  ) {}

  publish(topic: string, typeName: string, encode: () => Uint8Array): void {
    if (this.address === "") return;
    const [seconds, nanos] = sys.realtime();
    if (this.queue.length >= QUEUE_LIMIT) {
      this.queue.shift();
      this.log.error("containerd takes no events: the oldest of them is lost", { queued: QUEUE_LIMIT });
    }
    this.queue.push({ timestamp: { seconds, nanos }, topic, typeName, encode });
    if (this.sending) return;
    this.sending = true;
    // When the answer to the call behind the event has gone out: that is what containerd waits for.
    startTimer(() => this.send().catch((error) => this.log.error("publishing has stopped", { error })), 0);
  }

  private async send(): Promise<void> {
    for (let head = this.queue[0]; head; head = this.queue[0]) {
      try {
        await this.connected().call("containerd.services.events.ttrpc.v1.Events", "Forward", this.request(head), {
          timeoutMs: CALL_TIMEOUT_MS,
          metadata: { "containerd-namespace-ttrpc": [this.namespace] },
        });
        // The queue may have lost its head meanwhile.
        if (this.queue[0] === head) this.queue.shift();
      } catch (error) {
        this.log.debug("event not taken yet", { error, queued: this.queue.length });
        this.client?.close();
        this.client = undefined;
        await sleep(RETRY_MS);
      }
    }
    this.sending = false;
    for (const resolve of this.whenEmpty.splice(0)) resolve();
  }

  private request({ timestamp, topic, typeName, encode }: Event): Uint8Array {
    const event = { typeUrl: typeName, value: encode() };
    const envelope = { timestamp, namespace: this.namespace, topic, event };
    return containerd.services.events.ttrpc.v1.ForwardRequest.encode({ envelope });
  }

  private connected(): Client {
    if (!this.client || this.client.closed) this.client = createClient(connect(this.address));
    return this.client;
  }

  flushed(deadlineMs: number): Promise<void> {
    if (!this.sending) return Promise.resolve();
    return Promise.race([sleep(deadlineMs), new Promise<void>((resolve) => this.whenEmpty.push(resolve))]);
  }
}
