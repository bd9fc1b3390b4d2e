import * as sys from "sys";
import { Code, StatusError } from "ttrpc-ts";
import type { ProcessTable } from "./process-table.ts";
import { runCommand } from "./run.ts";

/** A program that mounts what the kernel cannot by itself. */
interface MountHelper {
  readonly program: string;
  /** The file system's type, as the program is told of it. */
  readonly type: string;
}

/** What it is told of a mount. */
interface HelpedMount {
  readonly source: string;
  readonly options: readonly string[];
}

// A FUSE file system's own program may have to look through its layers first.
const TIMEOUT_MS = 60_000;
const nobodyLeaves = { aborted: false, addEventListener() {}, removeEventListener() {} };

/** For types such as fuse3.fuse-overlayfs, as containerd's mount package has it (mount_linux.go). */
export function helperOf(type: string): MountHelper | undefined {
  const [, program, name] = /^(fuse3?)\.(.+)$/.exec(type) ?? [];
  return program && name ? { program: `mount.${program}`, type: name } : undefined;
}

export async function mountByHelper(
  table: ProcessTable,
  { program, type }: MountHelper,
  { source, options }: HelpedMount,
  target: string,
): Promise<void> {
  const argv = [program, source, target, ...options.flatMap((option) => ["-o", option]), "-t", type];
  const command = { argv, env: sys.environ(), cwd: "/", key: "", pidFile: "", owner: "", timeoutMs: TIMEOUT_MS };
  const { exitStatus, stdout, stderr } = await runCommand(table, command, nobodyLeaves);
  if (exitStatus === 0) return;
  const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim()).join(" ");
  throw new StatusError(Code.FAILED_PRECONDITION, `${argv.join(" ")}: exit status ${exitStatus}: ${said}`);
}
