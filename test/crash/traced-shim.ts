import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { programPath, shimProgram } from "@kuasar/install/programs";
import { straceProgram } from "./strace.ts";

/** `start` and `delete` are the shim's commands; `serve` is the process that `start` leaves behind. */
export type ShimStage = "start" | "serve" | "delete";

/** Stands in for the shim's program in containerd's PATH, and has the next one traced that it is asked to. */
export interface TracedShim {
  /** To be searched for shims before our own folder. */
  readonly directory: string;
  /** The next process of this stage is traced with these arguments of strace. */
  arm(stage: ShimStage, straceArguments: readonly string[]): void;
  /** Nothing is traced that has not begun yet. */
  disarm(): void;
  /** Of the traced process; undefined until there is one. */
  pid(stage: ShimStage): number | undefined;
  remove(): void;
}

const stages: readonly ShimStage[] = ["start", "serve", "delete"];

export function createTracedShim(): TracedShim {
  const directory = mkdtempSync(join(tmpdir(), "kuasar-traced-"));
  const file = (stage: ShimStage, what: string) => join(directory, `${stage}.${what}`);
  const program = join(directory, shimProgram);
  writeFileSync(program, standIn(directory, programPath(shimProgram), straceProgram() ?? "strace"));
  chmodSync(program, 0o755);
  return {
    directory,
    arm(stage, args) {
      rmSync(file(stage, "pid"), { force: true });
      writeFileSync(file(stage, "arguments"), args.join("\n"));
    },
    disarm() {
      for (const stage of stages) rmSync(file(stage, "arguments"), { force: true });
    },
    pid(stage) {
      const path = file(stage, "pid");
      return existsSync(path) ? Number(readFileSync(path, "utf8")) : undefined;
    },
    remove: () => rmSync(directory, { recursive: true }),
  };
}

/** `mv` lets one of several calls at once have the arguments. None of them, nor any path here, has a space. */
function standIn(directory: string, shim: string, strace: string): string {
  return `#!/bin/sh
for action; do
  [ "$before" = -id ] && id=$action
  before=$action
done
here=${directory}
if mv "$here/$action.arguments" "$here/$action.taken" 2>/dev/null; then
  echo $$ >"$here/$action.pid"
  exec ${strace} -D $(cat "$here/$action.taken") ${shim} "$@"
fi
if [ "$action" = start ] && mv "$here/serve.arguments" "$here/serve.taken" 2>/dev/null; then
  answer=$(${shim} "$@") || exit
  for pid in $(pgrep -f -- "-id $id"); do
    [ "$(readlink /proc/$pid/exe)" = ${shim} ] && server=$pid
  done
  ${strace} --attach $server $(cat "$here/serve.taken") </dev/null >/dev/null 2>&1 &
  until grep -q "TracerPid:.[1-9]" /proc/$server/status; do sleep 0.01; done
  echo $server >"$here/serve.pid"
  printf %s "$answer"
  exit 0
fi
exec ${shim} "$@"
`;
}
