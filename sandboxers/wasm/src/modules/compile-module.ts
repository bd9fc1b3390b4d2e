import { chownSync, closeSync, fstatSync, mkdirSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { hierarchies } from "@kuasar/framework/cgroup/hierarchies";
import { cgroupProcs } from "@kuasar/framework/cgroup/pod-cgroup";
import { ErrorCode, invalidArgument, isCode, type SandboxError } from "@kuasar/framework/error/sandbox-error";
import type { Monitor, SpawnRequest } from "@kuasar/framework/monitor/monitor";
import type { EngineProgram } from "../engine/engine-program.ts";
import { engineEnvironment, engineMounts } from "../root/engine-root.ts";
import type { ModuleFile } from "./module-file.ts";
import { NotCompiled, TooLarge } from "./not-compiled.ts";

/** Who compiles, so that a module which gets the better of the compiler has got nothing: nobody, alone, with nothing. */
const NOBODY = 65_534;
const NAMESPACES = ["mount", "pid", "network", "ipc", "uts"] as const;
const INPUT = "/module.wasm";
const OUTPUT_FOLDER = "/out";
const OUTPUT = "compiled";
const SIGKILL = 9;
const [RLIMIT_FSIZE, RLIMIT_CORE] = [1, 4];
const BY_SIGXFSZ = 128 + 25;
const WORDS_MAX = 2000;

export interface Compilation {
  readonly monitor: Monitor;
  readonly key: string;
  /** Its memory and its time are the container's. */
  readonly cgroup: string;
  readonly timeoutMs: number;
  /** No file that it writes may be larger. */
  readonly limitBytes: number;
}

/**
 * Compiles a module in a new folder; answers with the name of the result in it. Throws INVALID_ARGUMENT with the
 * engine's words if the module is none, {@link NotCompiled} if it could not be compiled here and now.
 */
export async function compileModule(
  program: EngineProgram,
  module: ModuleFile,
  digest: string,
  folder: string,
  { monitor, key, cgroup, timeoutMs, limitBytes }: Compilation,
): Promise<string> {
  const input = join(folder, "module");
  if ((await module.copyTo(input)) !== digest) {
    throw new NotCompiled("the module was changed while it was read");
  }
  const output = join(folder, "out");
  mkdirSync(output, { mode: 0o700 });
  chownSync(output, NOBODY, NOBODY);
  const words = join(folder, "words");
  const request: SpawnRequest = {
    key,
    argv: [program.path, ...program.engine.compile(INPUT, `${OUTPUT_FOLDER}/${OUTPUT}`)],
    env: engineEnvironment(),
    cwd: OUTPUT_FOLDER,
    stdio: { stdin: "", stdout: words, stderr: words, terminal: false, consoleSocket: "", uid: 0, gid: 0 },
    namespaces: NAMESPACES.map((type) => ({ type, path: "" })),
    uidMappings: [],
    gidMappings: [],
    cgroupProcs: cgroup === "" ? [] : cgroupProcs(hierarchies(), cgroup),
    hostname: "",
    domainname: "",
    sysctls: {},
    credentials: {
      uid: NOBODY,
      gid: NOBODY,
      additionalGids: [],
      capabilities: [],
      noNewPrivileges: true,
      limits: [
        { resource: RLIMIT_FSIZE, soft: limitBytes, hard: limitBytes },
        { resource: RLIMIT_CORE, soft: 0, hard: 0 },
      ],
    },
    emptyRoot: false,
    parentDeathSignal: SIGKILL,
    root: [
      ...engineMounts(program),
      { type: "bind", source: input, target: INPUT, options: ["ro", "nosuid", "nodev"] },
      { type: "bind", source: output, target: OUTPUT_FOLDER, options: ["nosuid", "nodev", "noexec"] },
    ],
  };
  const status = await runToEnd(monitor, request, timeoutMs);
  if (status === 0) {
    return join("out", OUTPUT);
  }
  if (status === BY_SIGXFSZ) {
    throw new TooLarge(`compiled, it takes more than the ${limitBytes} bytes that there is room for`);
  }
  const said = endOf(words).trim();
  // A panic of the compiler (101) or a signal says nothing of the module.
  throw status > 100 ? new NotCompiled(`the compiler ended with ${status}: ${said}`) : notValid(program, said);
}

/** A compiler may say as much as a module makes it say. */
function endOf(path: string): string {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const buffer = Buffer.alloc(Math.min(size, WORDS_MAX));
    return buffer.toString("utf8", 0, readSync(file, buffer, 0, buffer.length, size - buffer.length));
  } finally {
    closeSync(file);
  }
}

function notValid({ engine, version }: EngineProgram, said: string): SandboxError {
  return invalidArgument(`${engine.name} ${version} refuses the module: ${said}`);
}

async function runToEnd(monitor: Monitor, request: SpawnRequest, timeoutMs: number): Promise<number> {
  const { key } = request;
  await monitor.spawn(request);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    // One that has just ended needs no signal.
    monitor.signal(key, SIGKILL).catch(() => {});
  }, timeoutMs);
  try {
    const { exit } = await monitor.wait(key);
    if (late) {
      throw new NotCompiled(`it took longer than ${timeoutMs} ms`);
    }
    return exit.status;
  } finally {
    clearTimeout(timer);
    await monitor.release(key).catch((error: unknown) => {
      // Removed together with the task.
      if (!isCode(error, ErrorCode.FAILED_PRECONDITION)) {
        throw error;
      }
    });
  }
}
