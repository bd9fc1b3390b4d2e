import { becomeProgram, startChild } from "./child.ts";
import { INHERITANCE } from "./environment.ts";
import { dup2 } from "./sys-file.ts";
import { exec } from "./sys-process.ts";
import { environ, arguments as programArguments } from "./sys-program.ts";

/** As platform/server-process.ts has it: the server is the bundle beside this one, in a Node of its own. */
export function startServer(inheritance: string, kept: readonly number[], prepare: () => void): number {
  const [name = "", ...args] = programArguments();
  const bundle = (process.argv[1] as string).replace(/\.mjs$/, "-server.mjs");
  // Under the shim's name, by which lists of processes show it; without the subcommand, which is done.
  const argv = [name, ...process.execArgv, bundle, name, ...args.slice(0, -1)];
  const env = [...environ({ internal: true }), `${INHERITANCE}=${inheritance}`];
  return becomeProgram(startChild(), () => {
    prepare();
    for (const fd of kept) dup2(fd, fd);
    return exec(process.execPath, argv, env);
  });
}
