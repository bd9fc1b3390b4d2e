import type { WasmEngine } from "./wasm-engine.ts";

/** https://docs.wasmtime.dev/cli.html */
export const wasmtime: WasmEngine = {
  name: "wasmtime",
  kinds: ["module", "component", "http component", "text"],
  // `serve` and the option groups -S and -W.
  since: [18, 0],

  versionIn: (output) => /^wasmtime(?:-cli)? (\d+\.\d+\.\d+)/m.exec(output)?.[1],

  resolvesNames: (kind) => kind === "component" || kind === "http component",

  compile: (module, output) => ["compile", "--output", output, module],

  run({ path, kind, compiled, functionName, args, env, folders, httpAddress }) {
    const serves = kind === "http component" && functionName === "";
    const options: string[] = [];
    if (compiled) {
      options.push("--allow-precompiled");
    }
    // Components may use the network, which is the pod's; names are looked up as the pod's resolv.conf says.
    if (wasmtime.resolvesNames(kind)) {
      options.push("-S", "cli,http,inherit-network,allow-ip-name-lookup");
    }
    // Read-only folders are mounted so: Wasmtime's command line has no word for it.
    options.push(...folders.flatMap((folder) => ["--dir", `${folder.path}::${folder.name}`]));
    options.push(...env.flatMap((variable) => ["--env", variable]));
    if (serves) {
      return ["serve", ...options, "--addr", httpAddress, path];
    }
    if (functionName !== "") {
      options.push("--invoke", functionName);
    }
    return ["run", ...options, path, ...args];
  },
};
