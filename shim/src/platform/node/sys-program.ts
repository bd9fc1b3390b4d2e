import { INHERITANCE, INTERNAL_VARIABLES } from "./environment.ts";

export function becomeServer(): never {
  throw new Error("becomeServer: a process of Node starts its server as another process (server-process.ts)");
}

export function forkChild(): never {
  throw new Error("forkChild: a process of Node cannot fork (forked-child.ts)");
}

export function inheritedBytes(): ArrayBuffer {
  return new ArrayBuffer(0);
}

let inherited: string | undefined;

export function inheritance(): string {
  inherited ??= process.env[INHERITANCE] ?? "";
  return inherited;
}

/** The variables of the shim's own, too, where a server of ours is to have them. */
export function environ({ internal = false } = {}): string[] {
  return Object.entries(process.env)
    .filter(([name]) => internal || !INTERNAL_VARIABLES.includes(name))
    .map(([name, value]) => `${name}=${value}`);
}

/** The launcher's name, as it was called, comes before its arguments. */
function programArguments(): string[] {
  return process.argv.slice(2);
}

export { programArguments as arguments };

/** The arguments of the server are made without it (server-process.ts). */
export function dropLastArgument(): void {}
