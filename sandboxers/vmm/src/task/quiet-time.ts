/**
 * The end of a wait for something that others do: a guest that says what else a process wrote, a client that reads it. Both
 * may do nothing for as long as they like while the process runs, and not for ever once it has ended.
 */
export interface QuietTime {
  /** From now on the wait is over when nothing has moved for the time. */
  begin(): void;
  moved(): void;
  /** Never rejected. */
  readonly over: Promise<void>;
  /** There is nothing to wait for. */
  end(): void;
}

export function createQuietTime(limitMs: number): QuietTime {
  let timer: NodeJS.Timeout | undefined;
  let end = () => {};
  const over = new Promise<void>((resolve) => {
    end = () => {
      clearTimeout(timer);
      resolve();
    };
  });
  return {
    over,
    end,
    begin() {
      timer ??= setTimeout(end, limitMs).unref();
    },
    moved: () => timer?.refresh(),
  };
}
