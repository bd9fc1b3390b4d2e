import { readFileSync } from "node:fs";
import { join } from "node:path";
import { invalidArgument } from "../error/sandbox-error.ts";
import { validateBundlePath } from "../identifier/bundle-path.ts";
import { quote, validateIdentifier } from "../identifier/identifier.ts";
import { readSpec } from "../oci/read-spec.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { SandboxRegistry } from "../sandbox/sandbox-registry.ts";
import { taskNotFound } from "../task/task-state.ts";
import type { RequestContext } from "./request-context.ts";

const SANDBOX_ID_ANNOTATION = "io.kubernetes.cri.sandbox-id";
// containerd 2 leaves the sandbox's id in a file of the bundle.
const SANDBOX_ID_FILE = "sandbox";

/** The sandbox that a task is in: as the caller says, else the one that has such a task. NOT_FOUND if there is none. */
export function sandboxOfTask(registry: SandboxRegistry, context: RequestContext, taskId: string): Sandbox {
  if (context.sandboxId !== "") {
    return registry.get(context.namespace, context.sandboxId);
  }
  const sandbox = registry.findByTask(context.namespace, taskId);
  if (sandbox === undefined) {
    throw taskNotFound(taskId);
  }
  return sandbox;
}

/** The sandbox that a task is to be made in: as the caller says, else as its bundle says. */
export function sandboxForTask(
  registry: SandboxRegistry,
  context: RequestContext,
  taskId: string,
  bundle: string,
): Sandbox {
  return registry.get(context.namespace, context.sandboxId || sandboxIdIn(validateBundlePath(bundle), taskId));
}

function sandboxIdIn(bundle: string, taskId: string): string {
  const id = sandboxFile(bundle) ?? readSpec(bundle)?.annotations?.[SANDBOX_ID_ANNOTATION];
  if (id === undefined) {
    throw invalidArgument(
      `task ${quote(taskId)} belongs to no sandbox: neither the request's metadata nor the bundle ${bundle} names one`,
    );
  }
  validateIdentifier(id, "sandbox id");
  return id;
}

function sandboxFile(bundle: string): string | undefined {
  try {
    return readFileSync(join(bundle, SANDBOX_ID_FILE), "utf8").trim() || undefined;
  } catch {
    return undefined;
  }
}
