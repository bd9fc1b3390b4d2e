import { readFileSync } from "node:fs";
import { isAbsolute } from "node:path";
import { errorText, invalidArgument } from "@kuasar/framework/error/sandbox-error";
import { quote } from "@kuasar/framework/identifier/identifier";
import { parse, TomlError } from "smol-toml";
import { DEFAULT_OPTIONS, type RuncOptions } from "./runc-options.ts";

type Key = keyof RuncOptions;

// containerd writes the keys of runc's options this way in its own config.
const KEYS: Readonly<Record<string, Key>> = {
  NoPivotRoot: "noPivotRoot",
  NoNewKeyring: "noNewKeyring",
  ShimCgroup: "shimCgroup",
  IoUid: "ioUid",
  IoGid: "ioGid",
  BinaryName: "binaryName",
  Root: "root",
  CriuPath: "criuPath",
  SystemdCgroup: "systemdCgroup",
  CriuImagePath: "criuImagePath",
  CriuWorkPath: "criuWorkPath",
  runtime: "runtime",
};

// The shim's, which has acted on them, and containerd's own.
const IGNORED = new Set(["sandboxer", "socket", "typeurl", "configpath", "configbody"]);

/** Takes a key that is not runc's, but another kind of sandboxer's; false if it is not that either. */
export type TakeOther = (key: string, value: unknown, where: string) => boolean;

/** The `options` table of a runtime in containerd's config. `where` names the text in errors. */
export function optionsFromToml(text: string, where: string, takeOther: TakeOther = () => false): RuncOptions {
  const options: { -readonly [K in Key]: RuncOptions[K] } = { ...DEFAULT_OPTIONS };
  for (const [name, value] of Object.entries(parseTable(text, where))) {
    const key = keyOf(name);
    if (key !== undefined) {
      Object.assign(options, { [key]: checked(name, key, value, where) });
    } else if (!IGNORED.has(name.toLowerCase()) && !takeOther(name, value, where)) {
      const known = [...Object.keys(KEYS), "sandboxer", "socket"].join(", ");
      throw invalidArgument(`${where}: unknown key ${quote(name)} = ${show(value)}; known are ${known}`);
    }
  }
  if (!["", "runc", "crun"].includes(options.runtime)) {
    throw invalidArgument(`${where}: runtime is ${quote(options.runtime)}, expected "runc" or "crun"`);
  }
  return options;
}

/** The same from a file, `ConfigPath` in containerd's config. */
export function readOptionsFile(path: string, takeOther?: TakeOther): RuncOptions {
  if (!isAbsolute(path)) {
    throw invalidArgument(`the runtime options' config path ${quote(path)} must be absolute`);
  }
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw invalidArgument(`the runtime options' config cannot be read: ${errorText(error)}`);
  }
  return optionsFromToml(text, path, takeOther);
}

function parseTable(text: string, where: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof TomlError) {
      const [reason] = error.message.split("\n");
      throw invalidArgument(`${where} are not TOML: line ${error.line}, column ${error.column}: ${reason}`);
    }
    throw invalidArgument(`${where} are not TOML: ${errorText(error)}`);
  }
}

// containerd's TOML decoder does not mind the case of a key either.
function keyOf(name: string): Key | undefined {
  const lower = name.toLowerCase();
  const known = Object.keys(KEYS).find((candidate) => candidate.toLowerCase() === lower);
  return known === undefined ? undefined : KEYS[known];
}

function checked(name: string, key: Key, value: unknown, where: string): string | number | boolean {
  const expected = typeof DEFAULT_OPTIONS[key];
  const isUid = expected === "number";
  if (typeof value !== expected || (isUid && !(Number.isInteger(value) && (value as number) >= 0))) {
    const what = isUid ? "a number from 0" : expected === "boolean" ? "true or false" : "a string";
    throw invalidArgument(`${where}: ${name} is ${show(value)}, expected ${what}`);
  }
  return value as string | number | boolean;
}

function show(value: unknown): string {
  return quote(JSON.stringify(value, (_, part) => (typeof part === "bigint" ? String(part) : part)) ?? "nothing");
}
