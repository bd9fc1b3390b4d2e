import { execFile } from "node:child_process";
import { existsSync, readdirSync, realpathSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { errorText, failedPrecondition } from "@kuasar/framework/error/sandbox-error";
import { quote } from "@kuasar/framework/identifier/identifier";
import { findProgram } from "@kuasar/framework/proc/find-program";
import { elfInterpreter } from "./elf-interpreter.ts";
import type { WasmEngine } from "./wasm-engine.ts";

/** An engine as it is installed here, with all that it takes to run it in a root without the host's files. */
export interface EngineProgram {
  readonly engine: WasmEngine;
  readonly path: string;
  readonly version: string;
  /** The dynamic loader, and where the program expects it; undefined for a static program. */
  readonly loader?: { readonly file: string; readonly path: string };
  /** The shared libraries it is linked to, by the names it knows them by. */
  readonly libraries: readonly { readonly name: string; readonly file: string }[];
  /** Where they all are, and no library of anybody else's. */
  readonly libraryFolder?: string;
}

export interface EnginePrograms {
  /** FAILED_PRECONDITION if it is not installed, or too old. */
  find(engine: WasmEngine, name: string): Promise<EngineProgram>;
}

const TIMEOUT_MS = 30_000;
const run = promisify(execFile);

/** Looks for a program each time, since it may be installed or replaced at any time; asks it again when it was. */
export function createEnginePrograms(): EnginePrograms {
  const known = new Map<string, Promise<EngineProgram>>();
  return {
    async find(engine, name) {
      const found = findProgram(name);
      if (found === undefined) {
        throw failedPrecondition(
          `the Wasm engine ${quote(name)} is not an executable file${name.includes("/") ? "" : " in $PATH"}: ` +
            `install it, or name another with "${engine.name}" in the config file`,
        );
      }
      const path = realpathSync(found);
      const { dev, ino, mtimeMs, size } = statSync(path);
      const stamp = [engine.name, path, dev, ino, mtimeMs, size].join(" ");
      let program = known.get(stamp);
      if (program === undefined) {
        program = examine(engine, path);
        known.set(stamp, program);
        program.catch(() => known.delete(stamp));
      }
      return await program;
    },
  };
}

async function examine(engine: WasmEngine, path: string): Promise<EngineProgram> {
  const interpreter = await readInterpreter(path);
  const own = interpreter === undefined ? undefined : loaderBeside(path);
  const loader = own?.loader ?? interpreter;
  const command = loader === undefined ? [path] : [loader, ...(own ? ["--library-path", own.libraries] : []), path];
  const output = await ask(engine, path, [...command, "--version"]);
  const version = engine.versionIn(output);
  if (version === undefined) {
    throw failedPrecondition(`${path} is not ${engine.name}: --version says ${quote(output.trim().slice(0, 200))}`);
  }
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [sinceMajor, sinceMinor] = engine.since;
  if (major < sinceMajor || (major === sinceMajor && minor < sinceMinor)) {
    throw failedPrecondition(`${path} is ${engine.name} ${version}, expected ${engine.since.join(".")} or later`);
  }
  if (loader === undefined || interpreter === undefined) {
    return { engine, path, version, libraries: [] };
  }
  const list = await ask(engine, path, [...command.slice(0, -1), "--list", path]);
  const libraries = [...list.matchAll(/^\s*(\S+) => (\/\S+) \(/gm)].map(([, name = "", file = ""]) => ({
    name: basename(name),
    file: realpathSync(file),
  }));
  const together = own !== undefined && libraries.every(({ name }) => existsSync(join(own.libraries, name)));
  return {
    engine,
    path,
    version,
    loader: { file: realpathSync(loader), path: interpreter },
    libraries,
    ...(together && { libraryFolder: own.libraries }),
  };
}

/** A program in TREE/usr/bin whose libraries, dynamic loader and all, are in TREE/usr/lib/<machine>: not the host's. */
function loaderBeside(path: string): { loader: string; libraries: string } | undefined {
  const tree = dirname(dirname(dirname(path)));
  if (tree === "/" || basename(dirname(path)) !== "bin") {
    return undefined;
  }
  const lib = join(tree, "usr", "lib");
  for (const machine of entries(lib)) {
    const loader = entries(join(lib, machine)).find((name) => name.startsWith("ld-linux"));
    if (loader !== undefined) {
      return { loader: join(lib, machine, loader), libraries: join(lib, machine) };
    }
  }
  return undefined;
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

async function readInterpreter(path: string): Promise<string | undefined> {
  const file = await open(path);
  try {
    return await elfInterpreter(async (offset, length) => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
      return buffer.subarray(0, bytesRead);
    });
  } catch (error) {
    throw failedPrecondition(`${path} cannot be used as a Wasm engine: ${errorText(error)}`);
  } finally {
    await file.close();
  }
}

async function ask(engine: WasmEngine, path: string, [program = "", ...args]: readonly string[]): Promise<string> {
  try {
    const { stdout } = await run(program, args, { timeout: TIMEOUT_MS, env: {}, cwd: "/" });
    return stdout;
  } catch (error) {
    throw failedPrecondition(`${path} does not run as ${engine.name}: ${errorText(error).trim()}`);
  }
}
