import { closeSync, constants, existsSync, openSync, readSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errno } from "@kuasar/framework/error/sandbox-error";

const FIFO = "exec.fifo";
// A container's init answers within microseconds of being let in; one that has died never does.
const ROUNDS = 200;
const ROUND_MS = 1;
const SPINS = 50;

/**
 * Has the init process of a created container go on, as `runc start` does: it waits to open this FIFO for writing,
 * writes a byte and executes the program. False if it did not, for whatever reason; nothing has been done then.
 * Contract: runc's `libcontainer/container_linux.go`, exec and handleFifoResult.
 */
export async function releaseExecFifo(root: string, id: string): Promise<boolean> {
  const path = execFifo(root, id);
  let fifo: number;
  try {
    fifo = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return false;
  }
  try {
    if (!(await readByte(fifo))) {
      return false;
    }
    unlinkSync(path);
    return true;
  } finally {
    closeSync(fifo);
  }
}

/** Whether the container's init still waits there. */
export function isExecFifoThere(root: string, id: string): boolean {
  return existsSync(execFifo(root, id));
}

function execFifo(root: string, id: string): string {
  return join(root, id, FIFO);
}

async function readByte(fifo: number): Promise<boolean> {
  const byte = Buffer.alloc(1);
  for (let round = 0; round < ROUNDS; round++) {
    for (let spin = 0; spin < SPINS; spin++) {
      try {
        if (readSync(fifo, byte, 0, 1, null) === 1) {
          return true;
        }
      } catch (error) {
        if (errno(error) !== "EAGAIN") {
          return false;
        }
      }
    }
    await sleep(ROUND_MS);
  }
  return false;
}
