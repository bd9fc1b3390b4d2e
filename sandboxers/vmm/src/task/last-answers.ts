import { ErrorCode, SandboxError } from "@kuasar/framework/error/sandbox-error";

/**
 * Waits for what a guest says of a process's output: without limit while the process runs, since it may say nothing for as
 * long as it likes; and not for ever once it has ended, since that is for the guest alone to say.
 */
export interface LastAnswers {
  /** The process has ended: from now on each answer has to come within the time. */
  begin(): void;
  /** DEADLINE_EXCEEDED if it does not. */
  wait<T>(answer: Promise<T>): Promise<T>;
}

export function createLastAnswers(limitMs: number): LastAnswers {
  let begun = false;
  const waiting = new Set<() => void>();
  return {
    begin() {
      begun = true;
      for (const arm of waiting) arm();
    },
    wait(answer) {
      return new Promise((resolve, reject) => {
        let timer: NodeJS.Timeout | undefined;
        const late = () =>
          reject(
            new SandboxError(
              ErrorCode.DEADLINE_EXCEEDED,
              `the guest has not said within ${limitMs} ms what else an ended process wrote`,
            ),
          );
        const arm = () => {
          timer = setTimeout(late, limitMs).unref();
        };
        if (begun) arm();
        else waiting.add(arm);
        answer.then(resolve, reject).finally(() => {
          waiting.delete(arm);
          clearTimeout(timer);
        });
      });
    },
  };
}
