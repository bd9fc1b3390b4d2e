import { holds } from "@kuasar/proto/any";
import { containerd } from "@kuasar/proto/containerd";
import { errorText, invalidArgument } from "../error/sandbox-error.ts";
import { quote } from "../identifier/identifier.ts";
import type { TypedBytes } from "../sandbox/typed-bytes.ts";
import type { CheckpointRequest } from "../task/task-engine.ts";

const { CheckpointOptions } = containerd.runc.v1;

/** INVALID_ARGUMENT for options that are not runc's checkpoint options. */
export function checkpointRequest(path: string, options: TypedBytes | undefined): CheckpointRequest {
  if (!path.startsWith("/")) {
    throw invalidArgument(`the checkpoint's path ${quote(path)} must be absolute`);
  }
  const decoded = decode(options);
  return {
    path,
    workPath: decoded.workPath,
    exit: decoded.exit,
    openTcp: decoded.openTcp,
    externalUnixSockets: decoded.externalUnixSockets,
    terminal: decoded.terminal,
    fileLocks: decoded.fileLocks,
    emptyNamespaces: decoded.emptyNamespaces,
  };
}

function decode(options: TypedBytes | undefined): containerd.runc.v1.CheckpointOptions {
  if (options === undefined) {
    return CheckpointOptions.create();
  }
  if (!holds(options, CheckpointOptions)) {
    throw invalidArgument(
      `checkpoint options are of type ${quote(options.typeUrl)}, expected ${CheckpointOptions.typeName}`,
    );
  }
  try {
    return CheckpointOptions.decode(options.value);
  } catch (error) {
    throw invalidArgument(`the checkpoint options cannot be decoded: ${errorText(error)}`);
  }
}
