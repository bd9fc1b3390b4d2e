import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { closure, protoFiles, prune, readContracts } from "./generate/contracts.mjs";
import { outputSets } from "./generate/output-sets.mjs";
import { serviceDefinitions } from "./generate/service-definitions.mjs";
import { staticModule } from "./generate/static-module.mjs";
import { tableModule } from "./generate/table-module.mjs";
import { typeDeclarations } from "./generate/type-declarations.mjs";

const require = createRequire(import.meta.url);
const here = fileURLToPath(new URL(".", import.meta.url));
const sources = join(here, "src");

/** Names what a complete output was made from; written last. */
const stampName = ".inputs";

/** Every generated file and its content, without touching the disk. */
export function generatedFiles() {
  const files = new Map();
  const contracts = readContracts(sources);
  for (const [name, set] of Object.entries(outputSets)) {
    const root = readContracts(sources);
    prune(root, closure(root, set.messages));
    files.set(`${name}.d.ts`, typeDeclarations(root));
    files.set(`${name}.js`, set.codec === "table" ? tableModule(root) : staticModule(root, name));
    if (set.definitions) {
      const { code, types } = serviceDefinitions(contracts, name, set.services);
      files.set(`${set.definitions}.js`, code);
      files.set(`${set.definitions}.d.ts`, types);
    }
  }
  return files;
}

/** Writes gen/ unless it is up to date; a file appears whole or not at all, since builds may run side by side. */
export function generate(output = join(here, "gen")) {
  const inputs = inputHash();
  const stamp = join(output, stampName);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === inputs) return false;
  rmSync(stamp, { force: true });
  const files = generatedFiles();
  mkdirSync(output, { recursive: true });
  for (const name of readdirSync(output)) if (!files.has(name) && !name.startsWith(".")) rmSync(join(output, name));
  for (const [name, content] of [...files, [stampName, inputs]]) {
    const temporary = join(output, `.${name}.${process.pid}`);
    writeFileSync(temporary, content);
    renameSync(temporary, join(output, name));
  }
  return true;
}

/** Of the contracts, the generator and the versions of what it is made with. */
function inputHash() {
  const generator = readdirSync(join(here, "generate")).map((name) => join("generate", name));
  const own = [...generator, "generate.mjs", "shim-messages.json", "package.json"].map((name) => join(here, name));
  const hash = createHash("sha256");
  for (const file of [...own.sort(), ...protoFiles(sources).map((name) => join(sources, name))]) {
    const content = readFileSync(file);
    hash.update(`${file.slice(here.length)} ${content.length}\n`).update(content);
  }
  for (const name of ["protobufjs", "protobufjs-cli"]) {
    hash.update(readFileSync(require.resolve(`${name}/package.json`)));
  }
  return hash.digest("hex");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(generate() ? "proto/gen written\n" : "proto/gen is up to date\n");
}
