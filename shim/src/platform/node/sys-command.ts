import { becomeProgram, startChild } from "./child.ts";
import { chdir, dup2 } from "./sys-file.ts";
import { exec, prctl, setpgid } from "./sys-process.ts";

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;

export function startCommand(
  program: number,
  path: string,
  argv: readonly string[],
  env: readonly string[],
  cwd: string,
  stdio: readonly number[],
): number {
  return becomeProgram(startChild(), () => {
    // As go-runc does: a command does not outlive whoever waits for it.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    if (cwd) chdir(cwd);
    stdio.forEach((fd, index) => void dup2(fd, index));
    return exec(program >= 0 ? program : path, argv, env);
  });
}
