#!/usr/bin/env node
// Makes every program under its own name in dist/bin. Native programs are TypeScript bundled by esbuild, compiled to
// bytecode by QuickJS, and linked with shim/native into one static file; the others are bundles for Node.
import { execFile } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
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
  {
    name: "vmm-task",
    command: "sandboxers/vmm/guest/src/main.ts",
    server: "sandboxers/vmm/guest/src/server.ts",
    // A native module that no other program needs.
    native: { module: "guest", source: "sandboxers/vmm/guest/native/guest.c" },
  },
];

// What programs of Debian's are given in a virtual machine in place of libraries that have no use there.
const GUEST_LIBRARIES = [{ name: "libsystemd.so.0", folder: "sandboxers/vmm/guest/libsystemd" }];

// Upstream's runtime types, one a sandboxer: the shim reads the sandboxer from its own name.
const SHIM_LINKS = ["runc", "wasm", "vmm", "quark"].map((kind) => `containerd-shim-kuasar-${kind}-v2`);

// Heap limits: a sandboxer's live data is a few MiB, and what V8 would take beyond that, every node pays for.
const SANDBOXER_FLAGS = ["--max-semi-space-size=1", "--max-old-space-size=256", "--no-warnings"];

const NODE_PROGRAMS = [
  { name: "runc-sandboxer", entry: "sandboxers/runc/src/main.ts", flags: SANDBOXER_FLAGS },
  { name: "wasm-sandboxer", entry: "sandboxers/wasm/src/main.ts", flags: SANDBOXER_FLAGS },
  { name: "vmm-sandboxer", entry: "sandboxers/vmm/src/main.ts", flags: SANDBOXER_FLAGS },
  { name: "kuasar", entry: "install/src/main.ts", flags: ["--no-warnings"] },
];

// The shim where nothing can be compiled: runtime type io.containerd.kuasar-v2.node, or any name linked to it.
const NODE_SHIM = {
  name: "containerd-shim-kuasar-v2-node",
  entry: "shim/src/platform/node/command.ts",
  server: "shim/src/platform/node/server.ts",
  flags: ["--max-semi-space-size=1", "--max-old-space-size=64", "--no-warnings"],
};

/** Bytecode as C source, for one of a native program's two bundles: its command, and the server that it may become. */
async function bundleNative({ name, native }, part, entry, { qjsc }) {
  const bundle = join(work, `${name}-${part}.js`);
  const modules = ["sys", ...(native ? [native.module] : [])];
  await build({
    entryPoints: [join(top, entry)],
    outfile: bundle,
    bundle: true,
    minify: true,
    format: "esm",
    platform: "neutral",
    mainFields: ["main"],
    target: "es2022",
    external: modules,
    logLevel: "warning",
  });
  requirePresentMath(bundle);
  const code = join(work, `${name}-${part}.c`);
  const [loader, ...args] = qjsc;
  // -ss: without the source and without debug information, which would be kept in the memory of each process.
  const known = modules.flatMap((module) => ["-M", module]);
  await run(loader, [...args, "-c", "-ss", "-m", ...known, "-N", `${part}_bytecode`, "-o", code, bundle]);
  return code;
}

/** Native programs have no more of Math than they need (shim/native/absent_math.c). */
function requirePresentMath(bundle) {
  const absent = /Math\s*\.\s*(a?(sin|cos|tan)h?|atan2|hypot|cbrt|exp|expm1|log|log1p|log2)\b/.exec(
    readFileSync(bundle, "utf8"),
  );
  if (absent) throw new Error(`${bundle}: ${absent[0]} is not in the native programs: see absent_math.c`);
}

function compileRuntime(parts) {
  const sources = readdirSync(nativeSources).filter((file) => file.endsWith(".c"));
  return compile(
    sources.map((file) => join(nativeSources, file)),
    parts,
  );
}

/** C sources to object files. */
async function compile(sources, { includeDir, gcc }) {
  const flags = ["-O2", "-Wall", "-Werror", "-D_GNU_SOURCE", "-fno-plt", "-ffunction-sections", "-fdata-sections"];
  return Promise.all(
    sources.map(async (source) => {
      const object = join(work, `${basename(source)}.o`);
      await run(gcc, [...flags, "-I", includeDir, "-I", nativeSources, "-c", source, "-o", object]);
      return object;
    }),
  );
}

async function linkNative(name, code, objects, { libquickjs, gcc }) {
  const program = join(bin, name);
  rmSync(program, { force: true });
  // At fixed addresses, since the snapshot of its runtimes has pointers into it.
  const flags = ["-O2", "-static", "-no-pie", "-s", "-Wl,--gc-sections", "-Wl,-z,relro,-z,now"];
  const bare = join(work, name);
  await run(gcc, [...flags, "-o", bare, ...code, ...objects, libquickjs, "-lm", "-lpthread"]);
  await run(bare, ["--make-snapshot", program]);
}

/** A shared library with nothing but its own functions. */
async function linkLibrary({ name, folder }, { gcc }) {
  const library = join(lib, "guest", name);
  mkdirSync(dirname(library), { recursive: true });
  const [source, map] = [".c", ".map"].map((suffix) => join(top, folder, basename(folder) + suffix));
  const flags = ["-O2", "-Wall", "-Werror", "-fPIC", "-shared", "-nostdlib", "-s", `-Wl,--version-script=${map}`];
  await run(gcc, [...flags, `-Wl,-soname,${name}`, "-o", library, source]);
}

async function bundleNode(name, entries, options = {}) {
  const { metafile } = await build({
    metafile: true,
    entryPoints: Object.fromEntries(Object.entries(entries).map(([key, entry]) => [key, join(top, entry)])),
    outdir: lib,
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
    ...options,
  });
  // Chunks have their content's hash in their names: earlier builds' would stay, and be installed.
  const made = new Set(Object.keys(metafile.outputs).map((path) => basename(path)));
  const chunks = readdirSync(lib).filter((file) => file.startsWith(`${name}-`) && /-[A-Z0-9]{8}\.mjs$/.test(file));
  for (const stale of chunks.filter((file) => !made.has(file))) rmSync(join(lib, stale));
}

function writeLauncher(name, command) {
  const program = join(bin, name);
  rmSync(program, { force: true });
  writeFileSync(program, `#!/bin/sh\n${command}\n`);
  chmodSync(program, 0o755);
  process.stderr.write(`dist/bin/${name}\n`);
}

const bundleOf = (name) => `"$(dirname "$(readlink -f "$0")")/../lib/${name}.mjs"`;

async function makeNode({ name, entry, flags }) {
  await bundleNode(name, { [name]: entry });
  writeLauncher(name, `exec node ${flags.join(" ")} ${bundleOf(name)} "$@"`);
}

/** In place of each file in shim/src/platform, the one of the same name in its folder node. */
const nodePlatform = {
  name: "node-platform",
  setup({ onResolve }) {
    const platform = join(top, "shim", "src", "platform");
    onResolve({ filter: /^sys$/ }, () => ({ path: join(platform, "node", "sys.ts") }));
    onResolve({ filter: /\/[a-z-]+\.ts$/ }, ({ path, resolveDir }) => {
      const asked = join(resolveDir, path);
      const other = join(platform, "node", basename(path));
      const fromNode = resolveDir === join(platform, "node");
      return dirname(asked) === platform && !fromNode && existsSync(other) ? { path: other } : undefined;
    });
  },
};

async function makeNodeShim({ name, entry, server, flags }) {
  const options = { plugins: [nodePlatform], external: ["koffi"] };
  await bundleNode(name, { [name]: entry, [`${name}-server`]: server }, options);
  copyKoffi();
  // What only the shell knows: the name that it was called by, and the limit on open files, which node raises.
  const limit = 'KUASAR_NODE_OPEN_FILES="$(ulimit -Sn)"';
  writeLauncher(name, `${limit} exec node ${flags.join(" ")} ${bundleOf(name)} "$0" "$@"`);
}

/** koffi finds its binary beside itself: both go to a node_modules of the bundles' folder, where node looks first. */
function copyKoffi() {
  const from = join(top, "node_modules");
  const to = join(lib, "node_modules");
  rmSync(to, { recursive: true, force: true });
  // Its sources in C and its documentation stay behind.
  const needed = (path) => statSync(path).isDirectory() || /(\.js|package\.json|LICENSE\.txt)$/.test(path);
  for (const part of ["package.json", "LICENSE.txt", "index.js", "src/koffi"]) {
    cpSync(join(from, "koffi", part), join(to, "koffi", part), { recursive: true, filter: needed });
  }
  cpSync(join(from, "@koromix"), join(to, "@koromix"), { recursive: true });
}

async function main() {
  for (const folder of [bin, lib, work]) mkdirSync(folder, { recursive: true });
  await run(process.execPath, [join(top, "proto", "generate.mjs")]);
  // First what needs no compiler: where there is none, these are there all the same.
  for (const program of NODE_PROGRAMS.filter(({ entry }) => existsSync(join(top, entry)))) {
    await makeNode(program);
  }
  await makeNodeShim(NODE_SHIM);
  const parts = await buildParts();
  const objects = await compileRuntime(parts);
  for (const program of NATIVE_PROGRAMS) {
    const { name, command, server, native } = program;
    const code = [
      await bundleNative(program, "command", command, parts),
      await bundleNative(program, "server", server, parts),
    ];
    const own = native ? await compile([join(top, native.source)], parts) : [];
    await linkNative(name, code, [...objects, ...own], parts);
    process.stderr.write(`dist/bin/${name}: ${statSync(join(bin, name)).size} bytes\n`);
  }
  for (const library of GUEST_LIBRARIES) await linkLibrary(library, parts);
  for (const link of SHIM_LINKS) {
    rmSync(join(bin, link), { force: true });
    linkSync(join(bin, "containerd-shim-kuasar-v2"), join(bin, link));
  }
}

await main();
