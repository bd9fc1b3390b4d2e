/** Runs at most one body a key at a time, in the order of arrival. Different keys never wait for each other. */
export interface KeyedLock {
  /** `owner` names what holds the lock, for whoever asks why they wait. The body's result or error is passed on. */
  run<T>(key: string, owner: string, body: () => Promise<T>): Promise<T>;
  /** Who holds the key now, or undefined. */
  owner(key: string): string | undefined;
  /** Settles when nothing holds any key. */
  idle(): Promise<void>;
}

interface Held {
  owner: string;
  tail: Promise<void>;
}

export function createKeyedLock(): KeyedLock {
  const held = new Map<string, Held>();
  return {
    owner: (key) => held.get(key)?.owner,

    async idle() {
      while (held.size > 0) {
        await Promise.all([...held.values()].map(({ tail }) => tail));
      }
    },

    async run(key, owner, body) {
      const before = held.get(key);
      let release: () => void = () => {};
      const tail = new Promise<void>((resolve) => {
        release = resolve;
      });
      const mine: Held = { owner: before?.owner ?? owner, tail };
      held.set(key, mine);
      if (before !== undefined) {
        await before.tail;
        const last = held.get(key);
        if (last !== undefined) {
          last.owner = owner;
        }
      }
      try {
        return await body();
      } finally {
        if (held.get(key) === mine) {
          held.delete(key);
        }
        release();
      }
    },
  };
}
