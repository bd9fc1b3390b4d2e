import type { kuasar } from "@kuasar/proto/containerd";
import type { SandboxesService } from "@kuasar/proto/definitions";
import type { CallContext, Implementation } from "ttrpc-ts";
import { failedPrecondition, invalidArgument, unimplemented } from "../error/sandbox-error.ts";
import { quote, validateIdentifier } from "../identifier/identifier.ts";
import type { Logger } from "../log/logger.ts";
import { readSpec } from "../oci/read-spec.ts";
import type { MachineCommand, MachineProcess } from "../sandbox/machine-process.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { SandboxRegistry } from "../sandbox/sandbox-registry.ts";
import type { Sandboxer } from "../sandbox/sandboxer.ts";
import { type Confluence, createConfluence } from "./confluence.ts";
import { answering, answeringStream } from "./wire-error.ts";

type ExecRequest = kuasar.sandboxes.v1.ExecRequest;
type ExecStart = kuasar.sandboxes.v1.ExecStart;
type ExecResponse = kuasar.sandboxes.v1.ExecResponse;

const PROGRAM_MOST_BYTES = 3 << 20;
const EMPTY = new Uint8Array(0);
const NOTHING: ExecResponse = { stdout: EMPTY, stderr: EMPTY, exited: false, exitStatus: 0 };

/** `kuasar.sandboxes.v1.Sandboxes`: what the command `kuasar` asks. */
export function ttrpcSandboxesService(
  registry: SandboxRegistry,
  sandboxer: Sandboxer,
  log: Logger,
): Implementation<typeof SandboxesService> {
  return {
    list: answering(log)(() => ({ kind: sandboxer.kind, sandboxes: registry.all().map(describe) })),

    exec: answeringStream(log)(async function* (requests: AsyncIterable<ExecRequest>, call: CallContext) {
      const incoming = requests[Symbol.asyncIterator]();
      const { value: first } = await incoming.next();
      const { namespace, sandboxId, command } = checkStart(first?.start);
      const sandbox = registry.get(namespace, sandboxId);
      if (sandboxer.execInMachine === undefined) {
        throw unimplemented(
          `sandbox ${quote(sandboxId)} of the ${sandboxer.kind} sandboxer is no virtual machine: ` +
            "its containers' processes are the host's, see them by crictl exec or nsenter",
        );
      }
      if (sandbox.record.state !== "ready") {
        throw failedPrecondition(`sandbox ${quote(sandboxId)} is ${sandbox.record.state}, expected a running one`);
      }
      const process = await sandboxer.execInMachine(sandbox, command);
      const answers = createConfluence<ExecResponse>();
      const hangUp = () => answers.fail(call.signal.reason);
      call.signal.addEventListener("abort", hangUp);
      try {
        feed(process, incoming).catch((error) =>
          log.debug({ sandbox: sandboxId, err: error }, "input of an exec ends"),
        );
        drain(process, answers).catch((error) => answers.fail(error));
        if (!call.signal.aborted) yield* answers;
      } finally {
        call.signal.removeEventListener("abort", hangUp);
        await process.close();
      }
    }),
  };
}

function describe({ record }: Sandbox) {
  const { namespace, id, state } = record;
  return { namespace, id, state, ...(record.pod ?? podInSpec(record.bundle)) };
}

/** As containerd's default mode leaves it in the pause container's spec (pkg/cri/annotations). */
function podInSpec(bundle: string): { podName: string; podNamespace: string } {
  const annotations = (bundle === "" ? undefined : readSpec(bundle)?.annotations) ?? {};
  return {
    podName: annotations["io.kubernetes.cri.sandbox-name"] ?? "",
    podNamespace: annotations["io.kubernetes.cri.sandbox-namespace"] ?? "",
  };
}

function checkStart(start: ExecStart | null | undefined): {
  namespace: string;
  sandboxId: string;
  command: MachineCommand;
} {
  if (!start) throw invalidArgument("exec: expected a first message with start");
  const { namespace, sandboxId, program, programName, args, env, terminal, size } = start;
  validateIdentifier(namespace, "namespace");
  validateIdentifier(sandboxId, "sandbox id");
  validateIdentifier(programName, "program_name");
  if (program.length === 0 || program.length > PROGRAM_MOST_BYTES) {
    throw invalidArgument(`program: expected a file of ${PROGRAM_MOST_BYTES} bytes at most, got ${program.length}`);
  }
  return {
    namespace,
    sandboxId,
    command: { program, programName, args, env, terminal, ...(size && { size }) },
  };
}

async function feed(process: MachineProcess, requests: AsyncIterator<ExecRequest>): Promise<void> {
  for (let next = await requests.next(); !next.done; next = await requests.next()) {
    const { stdin, stdinEnd, size } = next.value;
    if (size) await process.resize(size);
    if (stdin.length > 0 || stdinEnd) await process.writeInput(stdin, stdinEnd);
  }
}

async function drain(process: MachineProcess, answers: Confluence<ExecResponse>): Promise<void> {
  const copy = async (name: "stdout" | "stderr") => {
    for await (const data of process[name]) await answers.put({ ...NOTHING, [name]: data });
  };
  await Promise.all([copy("stdout"), copy("stderr")]);
  await answers.put({ ...NOTHING, exited: true, exitStatus: await process.exited });
  answers.end();
}
