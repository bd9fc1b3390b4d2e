import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "@kuasar/framework/proc/find-program";

/** runc's commands that a sandboxer's calls end up in. */
export const runtimeCommands = ["create", "start", "exec", "delete"] as const;
export type RuntimeCommand = (typeof runtimeCommands)[number];

/** Stands in for runc, and does to one of its commands what a test wants done to it. */
export interface TracedRuntime {
  /** For the sandboxer, whose runc it makes this one. */
  readonly configFile: string;
  /** The next such command runs this shell text instead, where $runc "$@" is what was to be run. */
  arm(command: RuntimeCommand, script: string): void;
  disarm(): void;
  /** Whether the armed command has been called. */
  taken(command: RuntimeCommand): boolean;
  remove(): void;
}

export function createTracedRuntime(): TracedRuntime {
  const runc = findProgram("runc");
  if (runc === undefined) throw new Error("expected runc in PATH");
  const directory = mkdtempSync(join(tmpdir(), "kuasar-runtime-"));
  const program = join(directory, "runc");
  const configFile = join(directory, "sandboxer.toml");
  const file = (command: RuntimeCommand, what: string) => join(directory, `${command}.${what}`);
  writeFileSync(program, standIn(directory, runc));
  chmodSync(program, 0o755);
  writeFileSync(configFile, `runc = ${JSON.stringify(program)}\n`);
  return {
    configFile,
    arm(command, script) {
      rmSync(file(command, "taken"), { force: true });
      writeFileSync(file(command, "script"), `${script}\n`);
    },
    disarm() {
      for (const command of runtimeCommands) rmSync(file(command, "script"), { force: true });
    },
    taken: (command) => existsSync(file(command, "taken")),
    remove: () => rmSync(directory, { recursive: true }),
  };
}

function standIn(directory: string, runc: string): string {
  return `#!/bin/sh
here=${directory}
runc=${runc}
for word; do
  case $word in ${runtimeCommands.join("|")}) command=$word; break ;; esac
done
if [ "$command" ] && mv "$here/$command.script" "$here/$command.taken" 2>/dev/null; then
  . "$here/$command.taken"
  exit
fi
exec $runc "$@"
`;
}
