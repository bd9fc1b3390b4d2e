import { createRequire } from "node:module";
import protobuf from "protobufjs";
import { declarations, fullName } from "./contracts.mjs";

const staticTarget = createRequire(import.meta.url)("protobufjs-cli/targets/static.js");

/** Encode, decode and create, and nothing else of what pbjs can make. */
const options = { encode: true, decode: true, create: true, beautify: true, es6: true, forceNumber: true };

/** A set's codecs as code that protobufjs unrolls field by field. */
export function staticModule(root, name) {
  let code = "";
  // The target hands its output to a callback, at once.
  staticTarget(root, { ...options, root: name }, (error, output) => {
    if (error) throw error;
    code = output;
  });
  const messages = [...declarations(root)].filter((object) => object instanceof protobuf.Type);
  return [
    'import * as $protobuf from "../static-runtime.ts";',
    "",
    code,
    "",
    ...messages.map((message) => `$protobuf.asCodec(${fullName(message)}, ${JSON.stringify(fullName(message))});`),
    "",
  ].join("\n");
}
