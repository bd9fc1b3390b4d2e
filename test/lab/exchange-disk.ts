import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { tarArchive } from "@kuasar/install/tar-archive";
import { execa } from "execa";

const diskBytes = 512 * 1024 ** 2;

/**
 * A disk that is a tar archive: on the way in it holds the command, on the way out the command's exit code and results.
 * test/lab/guest/agent is at its other end.
 */
export function writeExchangeDisk(disk: string, command: string): void {
  const fd = openSync(disk, "w", 0o600);
  try {
    writeSync(fd, tarArchive([{ path: "command", type: "file", content: Buffer.from(command) }]));
    ftruncateSync(fd, diskBytes);
  } finally {
    closeSync(fd);
  }
}

/**
 * Unpacks what the guest has left in its $LAB_RESULTS to `results`.
 *
 * @returns the command's exit code; undefined if the machine went before it could say
 */
export async function readExchangeDisk(disk: string, results: string): Promise<number | undefined> {
  const { stdout } = await execa("tar", ["--list", "--file", disk]);
  if (!stdout.split("\n").includes("status")) return undefined;
  rmSync(results, { recursive: true, force: true });
  mkdirSync(results, { recursive: true });
  await execa("tar", ["--extract", "--no-same-owner", "--file", disk, "--directory", results, "status"]);
  const status = Number(readFileSync(join(results, "status"), "utf8"));
  rmSync(join(results, "status"));
  const strip = ["--strip-components=1", "results"];
  await execa("tar", ["--extract", "--no-same-owner", "--file", disk, "--directory", results, ...strip]);
  return status;
}
