import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode, SandboxError } from "@kuasar/framework/error/sandbox-error";
import { containerd, google, runtimeoptions } from "@kuasar/proto/containerd";
import { contracts } from "@kuasar/proto/message-arbitraries";
import fc from "fast-check";
import { parseRuncOptions } from "../../../sandboxers/runc/src/options/parse-options.ts";
import { readRuntimeOptions } from "../../../shim/src/runtime-options.ts";
import { chooseSandboxer } from "../../../shim/src/sandboxer-choice.ts";
import { fuzzTarget } from "../fuzz-target.ts";
import { type Damage, damaged, damages, hostileName, hugeText, real, type Text, textOf } from "../hostile.ts";
import { hostileFields } from "../hostile-call.ts";

const Runc = containerd.runc.v1.Options;
const Generic = runtimeoptions.v1.Options;
const KEYS = [
  "Root",
  "BinaryName",
  "SystemdCgroup",
  "IoUid",
  "sandboxer",
  "socket",
  "runtime",
  "__proto__",
  "a.b",
  '"\\u0000"',
  "[x]",
];
const VALUES = [
  "1",
  "-1",
  "1e400",
  "nan",
  "true",
  '"crun"',
  '"wasm"',
  '"/run/s"',
  "[1, [2]]",
  "{a = 1}",
  "1979-05-27",
  '"""',
  "0x",
  "= =",
];

/** The runtime's options, as they come in a google.protobuf.Any: of which type, what in, and what was done to the bytes. */
export interface OptionInput {
  readonly typeUrl: Text;
  readonly runc?: unknown;
  readonly toml?: Text;
  readonly inFile?: boolean;
  readonly damage?: readonly Damage[];
}

const toml: fc.Arbitrary<Text> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .array(fc.tuple(fc.constantFrom(...KEYS), fc.constantFrom(...VALUES)), { maxLength: 5 })
      .map((lines) => lines.map(([key, value]) => (key.startsWith("[") ? key : `${key} = ${value}`)).join("\n")),
  },
  { weight: 2, arbitrary: hostileName },
  {
    weight: 1,
    arbitrary: fc.record({ repeat: fc.constantFrom("[", "a=[", "a.", "[a]\n"), times: fc.constantFrom(50, 20_000) }),
  },
);

export const optionInputs: fc.Arbitrary<OptionInput> = fc.record(
  {
    typeUrl: fc.oneof(
      {
        weight: 8,
        arbitrary: fc.constantFrom(Runc.typeName, Generic.typeName, `type.googleapis.com/${Generic.typeName}`),
      },
      { weight: 1, arbitrary: hostileName },
    ),
    runc: hostileFields(contracts.lookupType(Runc.typeName), { binaryName: ["runc"] }),
    toml: fc.oneof({ weight: 60, arbitrary: toml }, { weight: 1, arbitrary: hugeText }),
    inFile: fc.boolean(),
    damage: damages,
  },
  { requiredKeys: ["typeUrl"] },
);

/** The encoded Any. `file` is where the TOML is put that does not come inline. */
export function encodeOptions({ typeUrl, runc, toml, inFile, damage }: OptionInput, file: string): Uint8Array {
  let value: Uint8Array = new Uint8Array(0);
  if (toml !== undefined) {
    if (inFile) writeFileSync(file, textOf(toml));
    value = Generic.encode(inFile ? { configPath: file } : { configBody: Buffer.from(textOf(toml)) });
  } else if (runc !== undefined) {
    value = Runc.encode(Runc.create(real(runc) as object));
  }
  const any = google.protobuf.Any.encode({ typeUrl: textOf(typeUrl), value });
  return damage ? damaged(any, damage) : any;
}

/** undefined for what is no message: the service that takes requests refuses it before any parser sees it. */
function decodeAny(bytes: Uint8Array): { typeUrl: string; value: Uint8Array } | undefined {
  try {
    return google.protobuf.Any.decode(bytes);
  } catch {
    return undefined;
  }
}

/** What reads a runtime's options: the sandboxer's parser, and the shim's choice of a sandboxer. */
export const options = fuzzTarget<OptionInput>({
  name: "options",
  native: false,
  inputs: optionInputs,
  async open() {
    const folder = mkdtempSync(join(tmpdir(), "kuasar-fuzz-"));
    return {
      async feed(input: OptionInput) {
        const bytes = encodeOptions(input, join(folder, "options.toml"));
        try {
          const any = decodeAny(bytes);
          if (any) parseRuncOptions(any);
        } catch (error) {
          const isRefusal = error instanceof SandboxError && error.code === ErrorCode.INVALID_ARGUMENT;
          if (!isRefusal && input.damage === undefined) throw error;
        }
        try {
          const options = readRuntimeOptions(bytes, () => textOf(input.toml ?? ""));
          chooseSandboxer({ programName: "containerd-shim-kuasar-v2", options, env: new Map() });
        } catch (error) {
          if (!/^runtime options: .*(expected|line \d+)/s.test((error as Error).message)) throw error;
        }
      },
      async close() {
        rmSync(folder, { recursive: true });
      },
    };
  },
});
