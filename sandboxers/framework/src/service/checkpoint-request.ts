import { holds } from "@kuasar/proto/any";
import { containerd } from "@kuasar/proto/containerd";
import { errorText, invalidArgument } from "../error/sandbox-error.ts";
import { quote } from "../identifier/identifier.ts";
import type { TypedBytes } from "../sandbox/typed-bytes.ts";
import type { CheckpointRequest } from "../task/task-engine.ts";

const { CheckpointOptions } = containerd.runc.v1;
/** What containerd's client gives a runtime that is not called io.containerd.runc. */
const ClientOptions = containerd.linux.runc.CheckpointOptions;

type Decoded = Omit<containerd.runc.v1.CheckpointOptions, "parentPath">;

/**
 * An image path in the options takes the place of the request's, as containerd has it for runc's runtime type only.
 * INVALID_ARGUMENT for options that are not checkpoint options.
 */
export function checkpointRequest(path: string, options: TypedBytes | undefined): CheckpointRequest {
  const decoded = decode(options);
  const imagePath = decoded.imagePath || path;
  if (!imagePath.startsWith("/")) {
    throw invalidArgument(`the checkpoint's path ${quote(imagePath)} must be absolute`);
  }
  return {
    path: imagePath,
    workPath: decoded.workPath,
    exit: decoded.exit,
    openTcp: decoded.openTcp,
    externalUnixSockets: decoded.externalUnixSockets,
    terminal: decoded.terminal,
    fileLocks: decoded.fileLocks,
    emptyNamespaces: decoded.emptyNamespaces,
  };
}

function decode(options: TypedBytes | undefined): Decoded {
  if (options === undefined) {
    return CheckpointOptions.create();
  }
  const type = [CheckpointOptions, ClientOptions].find((known) => holds(options, known));
  if (type === undefined) {
    throw invalidArgument(
      `checkpoint options are of type ${quote(options.typeUrl)}, expected ${CheckpointOptions.typeName}`,
    );
  }
  try {
    return type.decode(options.value);
  } catch (error) {
    throw invalidArgument(`the checkpoint options cannot be decoded: ${errorText(error)}`);
  }
}
