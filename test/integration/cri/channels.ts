import { waitUntil } from "@kuasar/install/wait-until";
import { connectWebSocket, type WebSocketConnection } from "./websocket.ts";

/**
 * Kubernetes' channels over a WebSocket: the first byte of a message says which.
 * Contract: `v4.channel.k8s.io`, in containerd's `pkg/cri/streaming/internal/wsstream`.
 */
export interface Channels {
  send(channel: number, content: string | Uint8Array): void;
  /** All that has come on a channel by now. */
  received(channel: number): Buffer;
  /** Waits until that matches. */
  expect(channel: number, pattern: RegExp): Promise<void>;
  /** Resolves when the connection has ended. */
  readonly ended: Promise<void>;
  close(): void;
}

const SUBPROTOCOL = "v4.channel.k8s.io";

export async function openChannels(url: string): Promise<Channels> {
  const received = new Map<number, Buffer[]>();
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const connection: WebSocketConnection = await connectWebSocket(url, SUBPROTOCOL, {
    message(message) {
      const [channel = -1] = message;
      received.set(channel, [...(received.get(channel) ?? []), message.subarray(1)]);
    },
    end,
  });
  const all = (channel: number) => Buffer.concat(received.get(channel) ?? []);
  return {
    send: (channel, content) => connection.send(Buffer.concat([Buffer.from([channel]), Buffer.from(content)])),
    received: all,
    async expect(channel, pattern) {
      await waitUntil(() => pattern.test(all(channel).toString()), {
        what: `${pattern} on channel ${channel}`,
        timeoutMs: 20_000,
      });
    },
    ended,
    close: () => connection.close(),
  };
}
