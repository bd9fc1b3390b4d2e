import { errorText, invalidArgument } from "@kuasar/framework/error/sandbox-error";
import { quote } from "@kuasar/framework/identifier/identifier";
import type { TypedBytes } from "@kuasar/framework/sandbox/typed-bytes";
import { holds } from "@kuasar/proto/any";
import { containerd, runtimeoptions } from "@kuasar/proto/containerd";
import { optionsFromToml, readOptionsFile, type TakeOther } from "./options-toml.ts";
import { DEFAULT_OPTIONS, type RuncOptions } from "./runc-options.ts";

const Runc = containerd.runc.v1.Options;
const Generic = runtimeoptions.v1.Options;
/** What containerd's client gives a single task, where the runtime is not called io.containerd.runc. */
const Task = containerd.linux.runc.CreateOptions;

/**
 * Undefined if there are none. INVALID_ARGUMENT, with what was expected and what came, for a type that is not known,
 * for bytes that are damaged, for TOML that is none and for keys that do not exist.
 */
export function parseRuncOptions(any: TypedBytes | undefined, takeOther?: TakeOther): RuncOptions | undefined {
  if (any === undefined) {
    return undefined;
  }
  if (holds(any, Runc)) {
    return { ...DEFAULT_OPTIONS, ...decode(Runc, any) };
  }
  if (holds(any, Task)) {
    return taskOptions(decode(Task, any));
  }
  if (holds(any, Generic)) {
    const { configPath, configBody } = decode(Generic, any);
    if (configBody.length > 0) {
      return optionsFromToml(textOf(configBody), "the runtime options", takeOther);
    }
    return configPath === "" ? DEFAULT_OPTIONS : readOptionsFile(configPath, takeOther);
  }
  throw invalidArgument(
    `runtime options are of type ${quote(any.typeUrl)}, expected ${Runc.typeName} or ${Generic.typeName}`,
  );
}

/** Those that say how to checkpoint come again with the checkpoint. */
function taskOptions(options: containerd.linux.runc.CreateOptions): RuncOptions {
  const { noPivotRoot, noNewKeyring, shimCgroup, ioUid, ioGid, criuWorkPath, criuImagePath } = options;
  const named = { noPivotRoot, noNewKeyring, shimCgroup, ioUid, ioGid, criuWorkPath, criuImagePath };
  return { ...DEFAULT_OPTIONS, ...named, restoreImage: criuImagePath };
}

function decode<T>(type: { readonly typeName: string; decode(bytes: Uint8Array): T }, any: TypedBytes): T {
  try {
    return type.decode(any.value);
  } catch (error) {
    throw invalidArgument(`the runtime options are no ${type.typeName}: ${errorText(error)}`);
  }
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw invalidArgument("the runtime options are not TOML: they are not UTF-8");
  }
}
