import { execFile } from "node:child_process";
import { errorText } from "../error/sandbox-error.ts";
import type { Logger } from "../log/logger.ts";

/**
 * Tells systemd that the service is ready, if it asked to be told. Node has no datagram sockets of the unix kind, so
 * systemd's own tool does it. Contract: sd_notify(3).
 */
export function notifyReady(log: Logger): void {
  if (!process.env.NOTIFY_SOCKET) {
    return;
  }
  execFile("systemd-notify", ["--ready", `--pid=${process.pid}`], (error) => {
    if (error !== null) {
      log.warn({ err: errorText(error) }, "systemd cannot be told that the service is ready");
    }
  });
}
