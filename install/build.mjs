#!/usr/bin/env node
// Makes every program under its own name in dist/bin. Native programs are TypeScript bundled by esbuild, compiled to
// bytecode by QuickJS, and linked with shim/native into one static file; the others are bundles for Node.
import { execFile } from "node:child_process";
import { chmodSync, existsSync, linkSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { buildParts } from "./parts.mjs";

const run = promisify(execFile);
const top = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = join(top, "dist", "bin");
const lib = join(top, "dist", "lib");
const work = join(top, ".cache", "build");
const nativeSources = join(top, "shim", "native");

const NATIVE_PROGRAMS = [
  { name: "containerd-shim-kuasar-v2", command: "shim/src/main.ts", server: "shim/src/server.ts" },
  { name: "kuasar-monitor", command: "shim/src/monitor/main.ts", server: "shim/src/monitor/server.ts" },
];

// Upstream's runtime types, one a sandboxer: the shim reads the sandboxer from its own name.
const SHIM_LINKS = ["runc", "wasm", "vmm", "quark"].map((kind) => `containerd-shim-kuasar-${kind}-v2`);

// Heap limits: a sandboxer's live data is a few MiB, and what V8 would take beyond that, every node pays for.
const SANDBOXER_FLAGS = ["--max-semi-space-size=1", "--max-old-space-size=256", "--no-warnings"];

const NODE_PROGRAMS = [
  { name: "runc-sandboxer", entry: "sandboxers/runc/src/main.ts", flags: SANDBOXER_FLAGS },
  { name: "kuasar", entry: "install/src/main.ts", flags: ["--no-warnings"] },
];

/** Bytecode as C source, for one of a native program's two bundles: its command, and the server that it may become. */
async function bundleNative(name, part, entry, { qjsc }) {
  const bundle = join(work, `${name}-${part}.js`);
  await build({
    entryPoints: [join(top, entry)],
    outfile: bundle,
    bundle: true,
    minify: true,
    format: "esm",
    platform: "neutral",
    mainFields: ["main"],
    target: "es2022",
    external: ["sys"],
    logLevel: "warning",
  });
  const code = join(work, `${name}-${part}.c`);
  const [loader, ...args] = qjsc;
  // -ss: without the source and without debug information, which would be kept in the memory of each process.
  await run(loader, [...args, "-c", "-ss", "-m", "-M", "sys", "-N", `${part}_bytecode`, "-o", code, bundle]);
  return code;
}

async function compileRuntime({ includeDir, gcc }) {
  const sources = readdirSync(nativeSources).filter((file) => file.endsWith(".c"));
  const flags = ["-O2", "-Wall", "-Werror", "-D_GNU_SOURCE", "-fno-plt", "-ffunction-sections", "-fdata-sections"];
  return Promise.all(
    sources.map(async (file) => {
      const object = join(work, `${file}.o`);
      await run(gcc, [...flags, "-I", includeDir, "-c", join(nativeSources, file), "-o", object]);
      return object;
    }),
  );
}

async function linkNative(name, code, objects, { libquickjs, gcc }) {
  const program = join(bin, name);
  rmSync(program, { force: true });
  const flags = ["-O2", "-static", "-s", "-Wl,--gc-sections", "-Wl,-z,relro,-z,now"];
  await run(gcc, [...flags, "-o", program, ...code, ...objects, libquickjs, "-lm", "-lpthread"]);
}

async function bundleNode({ name, entry, flags }) {
  const bundle = join(lib, `${name}.mjs`);
  await build({
    entryPoints: [join(top, entry)],
    outdir: lib,
    entryNames: name,
    chunkNames: `${name}-[hash]`,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    minify: true,
    keepNames: false,
    format: "esm",
    platform: "node",
    target: "node20",
    logLevel: "warning",
    // Packages in CommonJS call require() for Node's own modules.
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  });
  const program = join(bin, name);
  const script = `#!/bin/sh\nexec node ${flags.join(" ")} "$(dirname "$(readlink -f "$0")")/../lib/${name}.mjs" "$@"\n`;
  rmSync(program, { force: true });
  writeFileSync(program, script);
  chmodSync(program, 0o755);
  return bundle;
}

async function main() {
  for (const folder of [bin, lib, work]) mkdirSync(folder, { recursive: true });
  await run(process.execPath, [join(top, "proto", "generate.mjs")]);
  const parts = await buildParts();
  const objects = await compileRuntime(parts);
  for (const program of NATIVE_PROGRAMS) {
    const { name, command, server } = program;
    const code = [
      await bundleNative(name, "command", command, parts),
      await bundleNative(name, "server", server, parts),
    ];
    await linkNative(name, code, objects, parts);
    process.stderr.write(`dist/bin/${name}: ${statSync(join(bin, name)).size} bytes\n`);
  }
  for (const link of SHIM_LINKS) {
    rmSync(join(bin, link), { force: true });
    linkSync(join(bin, "containerd-shim-kuasar-v2"), join(bin, link));
  }
  for (const program of NODE_PROGRAMS.filter(({ entry }) => existsSync(join(top, entry)))) {
    await bundleNode(program);
    process.stderr.write(`dist/bin/${program.name}\n`);
  }
}

await main();
