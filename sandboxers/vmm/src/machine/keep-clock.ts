import { errorText } from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Guest } from "../guest/guest.ts";

/** A processor's counter is some ten parts in a million off: a millisecond in this time. */
const PERIOD_MS = 60_000;

/** Brings a machine's clock to this host's now and then, while it runs. Answers with what ends that. */
export function keepClock(sandbox: Sandbox, guest: Guest, log: Logger): () => void {
  const timer = setInterval(() => {
    // What a machine is told while it stands still it hears when it goes on, and then it is wrong.
    if (sandbox.record.state === "paused") return;
    // A machine that does not answer is told the next time.
    guest.setClock().catch((error) => log.debug({ err: errorText(error) }, "a machine's clock was not set"));
  }, PERIOD_MS);
  timer.unref();
  return () => clearInterval(timer);
}
