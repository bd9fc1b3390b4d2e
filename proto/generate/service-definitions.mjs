import { methodKey } from "./contracts.mjs";

/** The services of a set as objects that fit ttrpc-ts' ServiceDefinition. Returns the module and its declarations. */
export function serviceDefinitions(contracts, name, services) {
  const used = new Set();
  const code = [];
  const types = [];
  for (const [variable, serviceName] of Object.entries(services)) {
    code.push(`export const ${variable} = {`, `  name: ${JSON.stringify(serviceName)},`, "  methods: {");
    types.push(
      `export const ${variable}: {`,
      `  readonly name: ${JSON.stringify(serviceName)};`,
      "  readonly methods: {",
    );
    for (const method of contracts.lookupService(serviceName).methodsArray) {
      const [input, output] = [method.resolvedRequestType, method.resolvedResponseType].map(({ fullName }) =>
        fullName.slice(1),
      );
      for (const type of [input, output]) used.add(type.split(".")[0]);
      const streaming = [method.requestStream && "clientStreaming", method.responseStream && "serverStreaming"].filter(
        Boolean,
      );
      const flags = streaming.map((flag) => `, ${flag}: true`).join("");
      const flagTypes = streaming.map((flag) => ` & { readonly ${flag}: true }`).join("");
      const key = methodKey(method.name);
      code.push(`    ${key}: { name: ${JSON.stringify(method.name)}, input: ${input}, output: ${output}${flags} },`);
      types.push(`    readonly ${key}: Method<typeof ${input}, typeof ${output}>${flagTypes};`);
    }
    code.push("  },", "};");
    types.push("  };", "};");
  }
  const imports = `{ ${[...used].sort().join(", ")} } from "./${name}.js";`;
  return {
    code: [`import ${imports}`, "", ...code, ""].join("\n"),
    types: [`import type ${imports}`, 'import type { Method } from "../message-type.ts";', "", ...types, ""].join("\n"),
  };
}
