import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { withFileLock } from "./file-lock.mjs";
import { runCommand } from "./run-command.mjs";
import { findProgram, installSystemParts } from "./system-packages.mjs";
import { loaderIn, trixiePrefix } from "./trixie-prefix.mjs";

/** A release that is maintained for two years, and the newest that Rust 1.95 compiles. */
export const wasmtimeVersion = "48.0.8";
const neededRust = [1, 95];

/** What the sandboxer asks of Wasmtime; the rest of its features would double the build. */
const wasmtimeFeatures = [
  "run",
  "compile",
  "serve",
  "wat",
  "cranelift",
  "component-model",
  "component-model-async",
  "threads",
  "gc",
  "gc-drc",
  "pooling-allocator",
  "parallel-compilation",
  "backtrace",
  "demangle",
  "logging",
  // Without it the command line has neither --help nor the reasons of its errors.
  "clap/default",
];

/** WasmEdge with everything it is linked to, down to the dynamic loader: it runs on any distribution. */
const wasmedgePackages = [
  "wasmedge",
  "libwasmedge0",
  "libspdlog1.15",
  "libfmt10",
  "libllvm19",
  "libc6",
  "libstdc++6",
  "libgcc-s1",
  "libedit2",
  "libz3-4",
  "libzstd1",
  "zlib1g",
  "libxml2",
  "libffi8",
  "libbsd0",
  "libmd0",
  "libtinfo6",
  "liblzma5",
  "libicu76",
];

/**
 * @param {string} root the folder of fetched and made parts
 * @param {(line: string) => void} report
 * @returns {Promise<string>} the path of the program, with its loader in ../lib
 */
export async function wasmedgeProgram(root, report) {
  const program = (prefix) => join(prefix, "usr", "bin", "wasmedge");
  const verify = async (prefix) => {
    const version = await runCommand([...loaderIn(prefix).command, program(prefix), "--version"]);
    if (!version.includes("wasmedge version 0.")) throw new Error(`expected WasmEdge 0.x, got: ${version.trim()}`);
  };
  return program(await trixiePrefix(root, "wasmedge", wasmedgePackages, verify, report));
}

/**
 * Wasmtime's command, made by cargo once a version: nobody packages it for Debian.
 *
 * @param {string} root
 * @param {(line: string) => void} report
 * @returns {Promise<string>} the path of the program
 */
export async function wasmtimeProgram(root, report) {
  const folder = join(root, "wasmtime", wasmtimeVersion);
  const program = join(folder, "bin", "wasmtime");
  if (existsSync(program)) return program;
  return withFileLock(join(root, "wasmtime", "lock"), async (lock) => {
    if (existsSync(program)) return program;
    const staging = join(root, "wasmtime", "staging");
    rmSync(staging, { recursive: true, force: true });
    mkdirSync(staging, { recursive: true });
    try {
      const cargo = await usableCargo(report);
      report(`compiling Wasmtime ${wasmtimeVersion}, which takes minutes, into ${folder}`);
      await runCommand(
        [
          ...[cargo, "install", "wasmtime-cli", "--version", wasmtimeVersion, "--locked", "--quiet"],
          ...["--no-default-features", "--features", wasmtimeFeatures.join(","), "--root", join(staging, "made")],
        ],
        {
          inherit: [lock],
          env: {
            ...process.env,
            CARGO_TARGET_DIR: join(staging, "target"),
            CARGO_PROFILE_RELEASE_DEBUG: "false",
            CARGO_PROFILE_RELEASE_STRIP: "symbols",
          },
        },
      );
      const made = join(staging, "made");
      const version = await runCommand([join(made, "bin", "wasmtime"), "--version"]);
      if (!version.startsWith(`wasmtime ${wasmtimeVersion}`)) {
        throw new Error(`expected wasmtime ${wasmtimeVersion}, got: ${version.trim()}`);
      }
      renameSync(made, folder);
    } finally {
      rmSync(staging, { recursive: true, force: true });
    }
    return program;
  });
}

/** The machine's own cargo, if it is new enough, else Debian's most recent one. */
async function usableCargo(report) {
  const own = findProgram("cargo");
  if (own && (await isNewEnough(own))) return own;
  // Beside the release's own cargo Debian keeps one that is recent enough for browsers.
  await installSystemParts([{ package: "cargo-web", present: () => isNewEnough("/usr/bin/cargo") }], report);
  return "/usr/bin/cargo";
}

async function isNewEnough(cargo) {
  if (!existsSync(cargo)) return false;
  const version = /^cargo (\d+)\.(\d+)/.exec(await runCommand([cargo, "--version"], { quiet: true }));
  const [major, minor] = [Number(version?.[1]), Number(version?.[2])];
  return major > neededRust[0] || (major === neededRust[0] && minor >= neededRust[1]);
}
