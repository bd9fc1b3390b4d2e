/** A promise that is settled from outside. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  /** The first value counts. */
  resolve(value: T): void;
  readonly settled: boolean;
}

export function createDeferred<T>(): Deferred<T> {
  let settle: (value: T) => void = () => {};
  let settled = false;
  const promise = new Promise<T>((resolve) => {
    settle = resolve;
  });
  return {
    promise,
    resolve(value) {
      settled = true;
      settle(value);
    },
    get settled() {
      return settled;
    },
  };
}
