import { google, runtimeoptions } from "@kuasar/proto/shim";
import { parse, TomlError } from "smol-toml";

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
const GENERIC_OPTIONS = "runtimeoptions.v1.Options";

/**
 * From the runtime's options (an encoded google.protobuf.Any, empty for none), else from the program's own name
 * (containerd-shim-kuasar-wasm-v2), else runc. Only the keys `sandboxer` and `socket` are ours; the sandboxer checks
 * the others when the pod is made.
 */
export function chooseSandboxer(
  programName: string,
  options: Uint8Array,
  readFile: (path: string) => string,
): SandboxerChoice {
  const table = readTable(options, readFile);
  const { sandboxer, socket } = table;
  if (socket !== undefined && !(typeof socket === "string" && socket.startsWith("/"))) {
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
  const path = socket ?? `/run/${name}-sandboxer.sock`;
  const folder = FOLDERS[name] ?? `/run/kuasar-${name}`;
  return { name, socket: path, hint: `${name}-sandboxer --listen ${path} --dir ${folder}` };
}

function readTable(bytes: Uint8Array, readFile: (path: string) => string): Record<string, unknown> {
  if (bytes.length === 0) return {};
  const any = decode("google.protobuf.Any", () => google.protobuf.Any.decode(bytes));
  // runc's own options, from `ctr run --runc-binary` for one, have nothing to say about the sandboxer.
  if (!any.typeUrl.endsWith(GENERIC_OPTIONS)) return {};
  const options = decode(GENERIC_OPTIONS, () => runtimeoptions.v1.Options.decode(any.value));
  if (options.configBody.length > 0) return parseToml("ConfigBody", new TextDecoder().decode(options.configBody));
  if (options.configPath) return parseToml(options.configPath, readFile(options.configPath));
  return {};
}

function decode<T>(what: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new Error(`runtime options: expected an encoded ${what}: ${(error as Error).message}`);
  }
}

function parseToml(source: string, text: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const what = error.message.split("\n")[0];
    throw new Error(`runtime options: ${source}: line ${error.line}, column ${error.column}: ${what}`);
  }
}
