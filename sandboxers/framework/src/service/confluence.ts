/** What several sources give, for one reader, in the order in which it comes. */
export interface Confluence<T> extends AsyncIterable<T> {
  /** Settles when the reader has come for the next: a source that waits for that is no faster than the reader. */
  put(value: T): Promise<void>;
  /** There is no more. */
  end(): void;
  /** The reader gets what is there, and then this. */
  fail(error: unknown): void;
}

export function createConfluence<T>(): Confluence<T> {
  const waiting: Array<{ value: T; taken: () => void }> = [];
  let over: { error?: unknown } | undefined;
  let wake = () => {};
  const finish = (how: { error?: unknown }) => {
    over ??= how;
    wake();
  };
  return {
    put: (value) =>
      new Promise((taken) => {
        waiting.push({ value, taken });
        wake();
      }),
    end: () => finish({}),
    fail: (error) => finish({ error }),
    async *[Symbol.asyncIterator]() {
      for (;;) {
        for (let next = waiting.shift(); next; next = waiting.shift()) {
          yield next.value;
          next.taken();
        }
        if (over && "error" in over) throw over.error;
        if (over) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}
