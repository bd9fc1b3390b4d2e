/**
 * A connected byte stream. The protocol sets the three callbacks once, `onData` last: a transport delivers nothing
 * before `onData` is set, and nothing at all from inside the setter.
 */
export interface Transport {
  /** Takes ownership of the bytes; queues what the kernel does not take; never throws (errors come by `onClose`). */
  write(bytes: Uint8Array): void;
  /** Bytes queued and not yet taken by the kernel. */
  readonly buffered: number;
  /** Idempotent; what is still queued is dropped. */
  close(): void;
  /** Stops `onData` (back-pressure towards the peer). */
  pause(): void;
  /** Restarts `onData`. */
  resume(): void;
  /** The bytes may be kept by the receiver. */
  onData: (bytes: Uint8Array) => void;
  /** Called when `buffered`, having been above zero, has come down to zero. */
  onDrain: () => void;
  /** Called exactly once, whichever side closed; with an error if that is the reason. */
  onClose: (error?: Error) => void;
}
