import { errorText } from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Guest } from "../guest/guest.ts";
import { machineFacts } from "./machine-facts.ts";

/** How often a guest is asked whether it is there, and how long it may take to say so: it may share its host with many. */
export interface LivenessTimes {
  readonly periodMs: number;
  readonly patienceMs: number;
}

const PERIOD_MS = 5_000;
const PATIENCE_MS = 15_000;
/** A guest that loads drivers, or starts many processes, answers nobody meanwhile, which takes long where it is emulated. */
const EMULATED_PATIENCE_MS = 30_000;

const patienceFor = (sandbox: Sandbox) => (machineFacts(sandbox)?.emulated ? EMULATED_PATIENCE_MS : PATIENCE_MS);

export interface Liveness {
  /** When the guest was last heard, if it is silent: ms since 1970. */
  readonly silentSince: number | undefined;
  leave(): void;
}

/**
 * Asks a machine's guest now and then whether it is there. One that does not answer is told of, and nobody waits for it: what
 * is asked of it fails at once, until it is heard again.
 */
export function watchLiveness(sandbox: Sandbox, guest: Guest, log: Logger, times?: LivenessTimes): Liveness {
  let heardAt = Date.now();
  let silent = false;
  let timer: NodeJS.Timeout;

  async function look(): Promise<void> {
    if (sandbox.record.state === "paused") {
      heardAt = Date.now();
      return;
    }
    try {
      await guest.ping(times?.patienceMs ?? patienceFor(sandbox));
      heardAt = Date.now();
      if (silent) log.info({ sandbox: sandbox.id }, "the machine's guest answers again");
      silent = false;
      guest.heard();
    } catch (error) {
      if (guest.closed) return;
      if (!silent) {
        const seconds = Math.round((Date.now() - heardAt) / 1000);
        log.warn({ sandbox: sandbox.id, seconds, err: errorText(error) }, "the machine's guest does not answer");
      }
      silent = true;
      guest.silence(`the machine of sandbox ${sandbox.id} does not answer since ${new Date(heardAt).toISOString()}`);
    }
  }

  function later(): void {
    timer = setTimeout(() => void look().finally(() => guest.closed || later()), times?.periodMs ?? PERIOD_MS).unref();
  }
  later();

  return {
    get silentSince() {
      return silent ? heardAt : undefined;
    },
    leave: () => clearTimeout(timer),
  };
}
