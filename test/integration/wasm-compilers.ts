import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";

const sources = fileURLToPath(new URL("./wasm-sources", import.meta.url));

/** A compiler that makes WASI modules of a source in `wasm-sources`. */
export interface WasmCompiler {
  readonly language: string;
  /** What it takes, for whoever has to skip. */
  readonly needs: string;
  /** The module of `probe`; undefined where the compiler, or its library for WASI, is not here. Throws its errors. */
  compile(folder: string): Promise<Buffer | undefined>;
}

export const wasmCompilers: readonly WasmCompiler[] = [
  {
    language: "C",
    needs: "clang, lld, wasi-libc and libclang-rt-dev-wasm32",
    async compile(folder) {
      const compiler = ["clang", "--target=wasm32-wasi", "--sysroot=/usr", "-O1"];
      // Whether it can at all is asked with a program of one line.
      const empty = await runIn(
        folder,
        [...compiler, "-x", "c", "-o", "empty.wasm", "-"],
        "int main(void) {return 0;}",
      );
      if (empty.failed) return undefined;
      return made(folder, [...compiler, "-o", "c.wasm", join(sources, "probe.c")], "c.wasm");
    },
  },
  {
    language: "Rust",
    needs: "rustc with its target wasm32-wasip1",
    async compile(folder) {
      const compiler = ["rustc", "--edition=2021", "--target=wasm32-wasip1", "-O"];
      const empty = await runIn(folder, [...compiler, "-o", "empty.wasm", "-"], "fn main() {}");
      if (empty.failed) return undefined;
      return made(folder, [...compiler, "-o", "rust.wasm", join(sources, "probe.rs")], "rust.wasm");
    },
  },
];

function runIn(folder: string, [program = "", ...args]: readonly string[], input: string) {
  return execa(program, args, { cwd: folder, input, reject: false });
}

async function made(folder: string, command: readonly string[], name: string): Promise<Buffer> {
  const { failed, stderr } = await runIn(folder, command, "");
  if (failed) throw new Error(`${command.join(" ")}: ${stderr}`);
  return readFileSync(join(folder, name));
}
