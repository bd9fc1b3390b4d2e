import { execFile } from "node:child_process";
import { statSync } from "node:fs";
import { failedPrecondition } from "@kuasar/framework/error/sandbox-error";
import { findProgram } from "@kuasar/framework/proc/find-program";

/** The program that checkpoints and restores, for every OCI runtime. */
export interface Criu {
  /** Whether it is there, and can do its work on this kernel. */
  works(program: string): Promise<boolean>;
  /** FAILED_PRECONDITION, with what is wrong, if not. */
  require(program: string): Promise<void>;
}

const CHECK_TIMEOUT_MS = 10_000;

/** Asks each program once, and again when it has been replaced. `program` "" is the one in $PATH. */
export function createCriu(): Criu {
  const complaints = new Map<string, Promise<string>>();

  /** "" if there is nothing to complain of. */
  async function complaint(program: string): Promise<string> {
    const path = findProgram(program || "criu");
    if (path === undefined) {
      return `${program || "the program criu, in $PATH,"} is not there`;
    }
    const file = statSync(path, { throwIfNoEntry: false });
    const version = `${path} ${file?.ino} ${file?.mtimeMs}`;
    let checked = complaints.get(version);
    if (checked === undefined) {
      checked = check(path);
      complaints.set(version, checked);
    }
    return await checked;
  }

  return {
    works: async (program) => (await complaint(program)) === "",

    async require(program) {
      const wrong = await complaint(program);
      if (wrong !== "") {
        throw failedPrecondition(`checkpoint and restore need criu: ${wrong}`);
      }
    },
  };
}

/** `criu check` tries what the kernel has of all that it must have. */
function check(path: string): Promise<string> {
  return new Promise((resolve) => {
    execFile(path, ["check"], { cwd: "/", timeout: CHECK_TIMEOUT_MS }, (error, stdout, stderr) => {
      const [said = ""] = `${stderr}\n${stdout}`.split("\n").filter((line) => line.startsWith("Error"));
      resolve(error === null ? "" : `${path} does not work on this kernel: ${said || error.message}`);
    });
  });
}
