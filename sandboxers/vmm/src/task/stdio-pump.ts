import { closeSync, constants, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { errorText } from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import type { Guest } from "../guest/guest.ts";
import { createCounter } from "./byte-counter.ts";
import { copyInput, forgetEnd, type InputCopy } from "./copy-input.ts";
import { copyOutput } from "./copy-output.ts";
import { forgetDriver, type ProcessOutputs } from "./output-targets.ts";
import { createQuietTime } from "./quiet-time.ts";

/** Once its process has ended: for the guest's next answer, or the client's next look at what there is. */
const QUIET_MS = 10_000;

/** Copies between what a process has for its stdio on the host, and its stdio in the guest. */
export interface StdioPump {
  /**
   * Settles when all that the process wrote is where it goes, and, once the process has ended, when nothing has moved for 10 s:
   * then what else comes is copied still, until `close`. Never rejected: what is lost is told in the log.
   */
  readonly drained: Promise<void>;
  /** The client does not read what there is for it. */
  readonly isStalled: boolean;
  /** The process has ended: what else comes has a bound, whatever the guest says, or another process that has its stdio. */
  ending(): void;
  /** End of input, once what is in the host's FIFO now is in the guest; nobody waits for a process that does not read. */
  closeStdin(): void;
  /** Stops; another pump may go on. */
  close(): void;
}

export interface StdioPumpParts {
  readonly guest: Guest;
  readonly key: string;
  /** Path of a FIFO; "" for none. */
  readonly stdin: string;
  readonly outputs: Pick<ProcessOutputs, "stdout" | "stderr">;
  /**
   * Where it is kept how much of each stream has been copied, in a folder that is there: a pump of a later process of this
   * sandboxer goes on there.
   */
  readonly progress: string;
  readonly log: Logger;
  /** For tests. */
  readonly quietMs?: number;
}

export function startStdioPump(parts: StdioPumpParts): StdioPump {
  const { guest, key, stdin, outputs, progress, log, quietMs = QUIET_MS } = parts;
  const quiet = createQuietTime(quietMs);
  const targets = [[1, outputs.stdout] as const, [2, outputs.stderr] as const];
  const copies = targets.flatMap(([fd, target]) => {
    const copied = () => createCounter(`${progress}.${fd}`);
    return target ? [copyOutput({ guest, key, fd, target, copied: copied(), log, onMove: quiet.moved })] : [];
  });
  void Promise.all(copies.map(({ done }) => done)).then(quiet.end);
  const input = stdin === "" ? undefined : openInput(parts);
  return {
    drained: quiet.over,
    get isStalled() {
      return copies.some(({ isStalled }) => isStalled);
    },
    ending() {
      for (const output of copies) output.ending();
      quiet.begin();
    },
    closeStdin: () => input?.end(),
    close() {
      for (const output of copies) output.close();
      input?.close();
      quiet.end();
    },
  };
}

/** Forgets how far the streams of a process have been copied. */
export function forgetProgress(progress: string): void {
  for (const fd of [0, 1, 2]) rmSync(`${progress}.${fd}`, { force: true });
  forgetEnd(endOf(progress));
  forgetDriver(progress);
}

const endOf = (progress: string) => `${progress}.0.end`;

/** Undefined where the FIFO cannot be opened: nobody types there, and the process goes on. */
function openInput({ guest, key, stdin, progress, log }: StdioPumpParts): (InputCopy & { close(): void }) | undefined {
  let fifo: { fd: number; socket: Socket };
  try {
    fifo = openFifo(stdin);
  } catch (error) {
    log.warn({ key, path: stdin, err: errorText(error) }, "a process in a machine has no input");
    return undefined;
  }
  const { fd, socket } = fifo;
  socket.on("error", (error) => log.debug({ key, path: stdin, err: errorText(error) }, "a FIFO fails"));
  const copied = createCounter(`${progress}.0`);
  const input = copyInput(guest, key, fd, socket, copied, endOf(progress));
  void input.done
    // A process that reads no more, or has ended: what is typed is of no use to anybody.
    .catch((error) => log.debug({ key, err: errorText(error) }, "input of a process in a machine ends"))
    .finally(() => {
      copied.close();
      socket.destroy();
    });
  return { ...input, close: () => socket.destroy() };
}

/** With both ends, so that no client's coming or going is taken for an end. */
function openFifo(path: string): { fd: number; socket: Socket } {
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    return { fd, socket: new Socket({ fd, readable: true, writable: false }) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
