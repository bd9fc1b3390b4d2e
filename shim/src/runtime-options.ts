import { containerd, google, runtimeoptions } from "@kuasar/proto/shim";
import { parse, TomlError } from "smol-toml";

/** What a shim itself acts on of its runtime's options; the sandboxer checks the others when the pod is made. */
export interface RuntimeOptions {
  /** Which sandboxer, as it stands in the options. */
  readonly sandboxer?: unknown;
  readonly socket?: unknown;
  /** The cgroup that the shim shall be in. */
  readonly shimCgroup?: unknown;
}

const GENERIC_OPTIONS = "runtimeoptions.v1.Options";
const RUNC_OPTIONS = "containerd.runc.v1.Options";
/** What containerd's client gives a single task, where the runtime is not called io.containerd.runc. */
const TASK_OPTIONS = "containerd.linux.runc.CreateOptions";

/** @param bytes an encoded google.protobuf.Any, empty for none */
export function readRuntimeOptions(bytes: Uint8Array, readFile: (path: string) => string): RuntimeOptions {
  if (bytes.length === 0) return {};
  const any = decode("google.protobuf.Any", () => google.protobuf.Any.decode(bytes));
  if (any.typeUrl.endsWith(GENERIC_OPTIONS)) return readGeneric(any.value, readFile);
  // From `ctr run --runc-binary` for one: they have nothing to say about the sandboxer.
  if (any.typeUrl.endsWith(RUNC_OPTIONS)) {
    return { shimCgroup: decode(RUNC_OPTIONS, () => containerd.runc.v1.Options.decode(any.value)).shimCgroup };
  }
  if (any.typeUrl.endsWith(TASK_OPTIONS)) {
    return { shimCgroup: decode(TASK_OPTIONS, () => containerd.linux.runc.CreateOptions.decode(any.value)).shimCgroup };
  }
  return {};
}

function readGeneric(bytes: Uint8Array, readFile: (path: string) => string): RuntimeOptions {
  const options = decode(GENERIC_OPTIONS, () => runtimeoptions.v1.Options.decode(bytes));
  const table =
    options.configBody.length > 0
      ? parseToml("ConfigBody", new TextDecoder().decode(options.configBody))
      : options.configPath
        ? parseToml(options.configPath, readFile(options.configPath))
        : {};
  // containerd's TOML decoder does not mind the case of its own keys.
  const shimCgroup = Object.entries(table).find(([key]) => key.toLowerCase() === "shimcgroup")?.[1];
  return { sandboxer: table.sandboxer, socket: table.socket, shimCgroup };
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
