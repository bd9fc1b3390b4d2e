import type { ServerBeginning } from "../server-process.ts";
import { becomeProgram, startChild } from "./child.ts";
import { INHERITANCE } from "./environment.ts";
import { dup2 } from "./sys-file.ts";
import { exec } from "./sys-process.ts";
import { environ, arguments as programArguments } from "./sys-program.ts";

export type { ServerBeginning };

/** As platform/server-process.ts has it: the server is the bundle beside this one, in a Node of its own. */
export function startServer(prepare: () => ServerBeginning): number {
  const [name = "", ...args] = programArguments();
  const bundle = (process.argv[1] as string).replace(/\.mjs$/, "-server.mjs");
  // Under the shim's name, by which lists of processes show it; without the subcommand, which is done.
  const argv = [name, ...process.execArgv, bundle, name, ...args.slice(0, -1)];
  return becomeProgram(startChild(), () => {
    const { inheritance, kept } = prepare();
    for (const fd of kept) dup2(fd, fd);
    return exec(process.execPath, argv, [...environ({ internal: true }), `${INHERITANCE}=${inheritance}`]);
  });
}
