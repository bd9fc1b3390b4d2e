import * as sys from "sys";
import { startTimer } from "./platform/loop.ts";
import type { Pod } from "./pod.ts";

const LOOK_MS = 5_000;
/** Between a shim's start and its first task, and between its last task's end and Shutdown, containerd takes less. */
const FORGOTTEN_AFTER_MS = 60_000;

/**
 * Calls back when nobody has any use for the shim: it has no task, or none that anybody will ask for, and its bundle is
 * gone, or it has been so for a minute. containerd was killed while it started the shim (issue 6860), or has given up on
 * the Delete of its last task before that was answered, and never calls Shutdown then (7496); connections may be open
 * all the same.
 */
export function watchUse(pod: Pod, bundle: string, onForgotten: () => void): void {
  let since = 0;
  const look = () => {
    if (!pod.forgotten) {
      since = pod.sandboxGone ? sys.monotonicMs() : 0;
    } else if (!sys.stat(bundle) || sys.monotonicMs() - since >= FORGOTTEN_AFTER_MS) {
      onForgotten();
      return;
    }
    if (since > 0) startTimer(look, LOOK_MS);
  };
  // While there are tasks nobody looks: an idle pod's shim shall sleep.
  const begin = () => {
    if (since > 0) return;
    since = sys.monotonicMs();
    startTimer(look, LOOK_MS);
  };
  pod.onUnused = begin;
  begin();
}
