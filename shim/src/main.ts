import "./platform/globals.ts";
import * as sys from "sys";
import { childCode } from "./child/child-code.ts";
import { deleteBundle } from "./delete.ts";
import { parseFlags } from "./flags.ts";
import { runChild } from "./platform/child-task.ts";
import { openOutput } from "./platform/standard-output.ts";
import { start } from "./start.ts";
import { VERSION } from "./version.ts";

const USAGE = `Usage: containerd-shim-kuasar-v2 -namespace NS -address SOCKET -id ID [-bundle DIR] [-debug] start|delete
       containerd-shim-kuasar-v2 -v

containerd's runtime v2 shim for Kuasar's sandboxers. containerd starts it for the runtime type
io.containerd.kuasar.v2; there is nothing to run by hand.
`;

function environment(): Map<string, string> {
  return new Map(
    sys.environ().map((entry) => {
      const equals = entry.indexOf("=");
      return [entry.slice(0, equals), entry.slice(equals + 1)];
    }),
  );
}

/** The exit status; undefined where the event loop has something to do yet. */
function main(programName: string, programArguments: readonly string[]): number | undefined {
  const flags = parseFlags(programArguments);
  const out = openOutput();
  if (flags.help) {
    out.text(USAGE);
    return 0;
  }
  if (flags.version) {
    out.text(`${programName}:\n  Version:  ${VERSION}\n  Runtime:  io.containerd.kuasar.v2\n`);
    return 0;
  }
  if (flags.namespace === "") throw new Error("shim namespace cannot be empty");
  switch (flags.action) {
    case "start":
      out.text(start(flags, programName, environment()));
      return 0;
    case "delete":
      deleteBundle(flags, (response) => {
        out.bytes(response);
        sys.exit(0);
      });
      return undefined;
    default:
      throw new Error(`expected the command start or delete, got ${JSON.stringify(flags.action)}\n\n${USAGE}`);
  }
}

function run(): void {
  const [path = "", ...programArguments] = sys.arguments();
  const programName = path.split("/").pop() ?? "";
  try {
    const status = main(programName, programArguments);
    if (status !== undefined) sys.exit(status);
  } catch (error) {
    const text = sys.encodeUtf8(`${programName}: ${(error as Error).message}`);
    sys.write(2, text, 0, text.byteLength);
    sys.exit(1);
  }
}

// What begins when all modules are defined: shim/native/runtime.c calls it, in a runtime that the build has prepared.
Object.assign(globalThis, { main: run, child: () => runChild(childCode) });
