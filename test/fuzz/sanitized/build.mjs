#!/usr/bin/env node
// node test/fuzz/sanitized/build.mjs, after `npm run build`: its native programs once more, with AddressSanitizer and
// UndefinedBehaviorSanitizer, in .cache/sanitized. They are for KUASAR_FUZZ_PROGRAMS only.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { buildParts } from "../../../install/parts.mjs";

const run = promisify(execFile);
const here = dirname(fileURLToPath(import.meta.url));
const top = dirname(dirname(dirname(here)));
const native = join(top, "shim", "native");
/** Where the build leaves the bytecode of each program's two bundles. */
const bytecode = join(top, ".cache", "build");
const bin = join(top, ".cache", "sanitized");

const REPLACED = ["arena.c", "snapshot.c"];
const SERVER = "-server.c";
// Without recovery: a process with a finding ends with it.
const FLAGS = ["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

const names = existsSync(bytecode) ? readdirSync(bytecode).filter((file) => file.endsWith(SERVER)) : [];
if (names.length === 0) throw new Error(`expected the build's bytecode in ${bytecode}: run npm run build`);
mkdirSync(bin, { recursive: true });
const { gcc, includeDir, libquickjs } = await buildParts();
const sources = readdirSync(native).filter((file) => file.endsWith(".c") && !REPLACED.includes(file));
for (const name of names.map((file) => file.slice(0, -SERVER.length))) {
  const files = [
    ...sources.map((file) => join(native, file)),
    join(here, "memory.c"),
    ...["command", "server"].map((part) => join(bytecode, `${name}-${part}.c`)),
  ];
  const flags = [...FLAGS, "-Wall", "-Werror", "-D_GNU_SOURCE", "-I", includeDir, "-I", native];
  await run(gcc, [...flags, "-o", join(bin, name), ...files, libquickjs, "-lm", "-lpthread"]);
  process.stderr.write(`.cache/sanitized/${name}\n`);
}
