import { connect } from "node:net";
import { createInterface } from "node:readline";
import { ErrorCode, SandboxError, unavailable } from "@kuasar/framework/error/sandbox-error";
import { isJsonObject } from "@kuasar/framework/store/json";

const TIMEOUT_MS = 10_000;

/**
 * One command to a machine's QEMU Machine Protocol socket, on a connection of its own.
 * https://www.qemu.org/docs/master/interop/qmp-spec.html
 */
export function runQmp(socket: string, command: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const connection = connect(socket);
    const end = (error?: Error) => {
      clearTimeout(timer);
      connection.destroy();
      if (error) reject(error);
      else resolve();
    };
    const timer = setTimeout(
      () => end(unavailable(`QEMU does not answer ${command} within ${TIMEOUT_MS} ms`)),
      TIMEOUT_MS,
    );
    const send = (execute: string) => connection.write(`${JSON.stringify({ execute, id: execute })}\n`);
    connection.on("error", (error) => end(unavailable(`QEMU's control socket: ${error.message}`, error)));
    connection.on("close", () => end(unavailable("QEMU has closed its control socket")));
    createInterface({ input: connection }).on("line", (line) => {
      const message = parse(line);
      if ("QMP" in message) send("qmp_capabilities");
      else if ("error" in message) end(new SandboxError(ErrorCode.INTERNAL, `QEMU refuses ${command}: ${line}`));
      else if (message.id === "qmp_capabilities") send(command);
      else if (message.id === command) end();
    });
  });
}

function parse(line: string): Record<string, unknown> {
  const message: unknown = JSON.parse(line);
  return isJsonObject(message) ? message : {};
}
