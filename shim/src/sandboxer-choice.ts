import type { RuntimeOptions } from "./runtime-options.ts";

/** The sandboxer that a pod is given to. */
export interface SandboxerChoice {
  readonly name: string;
  readonly socket: string;
  /** How to start it, for the error when it does not answer. */
  readonly hint: string;
}

const FOLDERS: Readonly<Record<string, string>> = {
  runc: "/run/kuasar-runc",
  wasm: "/run/kuasar-wasm",
  vmm: "/run/kuasar-vmm",
  quark: "/var/lib/kuasar-quark",
};
const DEFAULT = "runc";

/** What a choice is made of. */
export interface ChoiceSources {
  /** The shim's own. */
  readonly programName: string;
  readonly options: RuntimeOptions;
  /** containerd's environment, which it hands on to every shim. */
  readonly env: ReadonlyMap<string, string>;
}

/** From the runtime's options, else from the program's own name (containerd-shim-kuasar-wasm-v2), else runc. */
export function chooseSandboxer({ programName, options, env }: ChoiceSources): SandboxerChoice {
  const { sandboxer, socket } = options;
  if (socket !== undefined && !isAbsolute(socket)) {
    throw new Error(`runtime options: socket: expected an absolute path, got ${JSON.stringify(socket)}`);
  }
  const named = /^containerd-shim-kuasar-([a-z0-9]+)-v2$/.exec(programName)?.[1];
  const name = sandboxer ?? named ?? DEFAULT;
  if (typeof name !== "string" || (!Object.hasOwn(FOLDERS, name) && socket === undefined)) {
    const known = Object.keys(FOLDERS).join(", ");
    throw new Error(
      `runtime options: sandboxer: expected one of ${known}, or any name with a socket, got ${JSON.stringify(name)}`,
    );
  }
  const path = socket ?? usualSocket(name, env);
  const folder = FOLDERS[name] ?? `/run/kuasar-${name}`;
  return { name, socket: path, hint: `${name}-sandboxer --listen ${path} --dir ${folder}` };
}

/** Where runc's own options, which cannot name a socket, are used, or none at all, it may be in KUASAR_RUNC_SOCKET. */
function usualSocket(name: string, env: ReadonlyMap<string, string>): string {
  const variable = `KUASAR_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")}_SOCKET`;
  const socket = env.get(variable);
  if (!socket) return `/run/${name}-sandboxer.sock`;
  if (!isAbsolute(socket)) throw new Error(`${variable}: expected an absolute path, got ${JSON.stringify(socket)}`);
  return socket;
}

function isAbsolute(path: unknown): path is string {
  return typeof path === "string" && path.startsWith("/");
}
