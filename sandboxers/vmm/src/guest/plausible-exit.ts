import { type Exit, now, type Timestamp, UNKNOWN_EXIT_STATUS } from "@kuasar/framework/sandbox/exit";

/** A guest's clock is the host's, but for this. */
const CLOCK_SECONDS = 1;

/** How a process ended, as its guest says, where that can be: by the host's clock after the pod began, and by now. */
export function plausibleExit({ status, at }: Exit, since: Timestamp): Exit {
  const host = now();
  const isPlausible =
    at.seconds >= since.seconds - CLOCK_SECONDS &&
    at.seconds <= host.seconds + CLOCK_SECONDS &&
    at.nanos >= 0 &&
    at.nanos < 1_000_000_000;
  return { status: Math.min(status, UNKNOWN_EXIT_STATUS), at: isPlausible ? at : host };
}
