import type { WasmEngine } from "./wasm-engine.ts";

/** https://wasmedge.org/docs/start/build-and-run/cli */
export const wasmedge: WasmEngine = {
  name: "wasmedge",
  kinds: ["module"],
  nativeSection: "wasmedge",
  // Read-only folders.
  since: [0, 13],

  versionIn: (output) => /^.*wasmedge version (\d+\.\d+\.\d+)/m.exec(output)?.[1],

  // By calls of its own, which are no part of WASI.
  resolvesNames: () => true,

  compile: (module, output) => ["compile", module, output],

  run({ path, functionName, args, env, folders }) {
    const options = folders.flatMap(({ path, name, readOnly }) => [
      "--dir",
      `${name}:${path}${readOnly ? ":readonly" : ""}`,
    ]);
    options.push(...env.flatMap((variable) => ["--env", variable]));
    if (functionName !== "") {
      return ["run", "--reactor", ...options, path, functionName, ...args];
    }
    return ["run", ...options, path, ...args];
  },
};
