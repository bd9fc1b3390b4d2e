import { readFileSync } from "node:fs";
import { parse, TomlDate, TomlError } from "smol-toml";
import { errorText } from "../error/sandbox-error.ts";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** The keys that every sandboxer's config file has. */
export interface BaseConfig {
  readonly log_level: LogLevel;
}

/** What a key may stand for: a table has keys of its own. */
export type ConfigValue = string | number | boolean | readonly string[] | object;

/** A config file's keys with their defaults. */
export type ConfigDefaults<C> = { readonly [K in keyof C]: ConfigValue };

type Table = Readonly<Record<string, unknown>>;

/**
 * A TOML file with some of the keys of `defaults`, each of its default's type. Throws one Error that names the file and
 * says of each key that is wrong what was expected and what came; an unknown key is wrong. Without a file, the defaults.
 */
export function loadConfig<C extends ConfigDefaults<C>>(path: string | undefined, defaults: C): C & BaseConfig {
  const problems: string[] = [];
  const read = path === undefined ? {} : readToml(path);
  const config = merged(read, { log_level: "info", ...defaults }, "", problems);
  if (problems.length > 0) throw new Error(`${path}: ${problems.join("; ")}`);
  checkLogLevel(String(config.log_level), path ?? "config");
  return config as C & BaseConfig;
}

/** @param prefix of the table that `read` is: "", or "hypervisor." */
function merged(read: Table, defaults: Table, prefix: string, problems: string[]): Table {
  const config: Record<string, unknown> = { ...defaults };
  for (const [key, value] of Object.entries(read)) {
    const name = prefix + key;
    const fallback = Object.hasOwn(defaults, key) ? defaults[key] : undefined;
    if (fallback === undefined) {
      problems.push(`unknown key ${JSON.stringify(name)}; known are ${Object.keys(defaults).join(", ")}`);
    } else if (isTable(fallback) && isTable(value)) {
      config[key] = merged(value, fallback, `${name}.`, problems);
    } else if (typeName(value) !== typeName(fallback)) {
      problems.push(`${name} is ${JSON.stringify(value)}, expected a ${typeName(fallback)}`);
    } else {
      config[key] = value;
    }
  }
  return config;
}

const isTable = (value: unknown): value is Table =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof TomlDate);

function typeName(value: unknown): string {
  if (Array.isArray(value)) return value.every((item) => typeof item === "string") ? "list of strings" : "list";
  return isTable(value) ? "table" : value instanceof TomlDate ? "date" : typeof value;
}

/** Throws an Error that names `where` the level was asked for. */
export function checkLogLevel(level: string, where: string): LogLevel {
  const known = LOG_LEVELS.find((candidate) => candidate === level);
  if (known === undefined) {
    throw new Error(`${where}: log level is ${JSON.stringify(level)}, expected one of ${LOG_LEVELS.join(", ")}`);
  }
  return known;
}

function readToml(path: string): Table {
  const text = readFileSync(path, "utf8");
  try {
    return parse(text);
  } catch (error) {
    const where = error instanceof TomlError ? `:${error.line}:${error.column}` : "";
    throw new Error(`${path}${where}: not TOML: ${errorText(error).split("\n")[0]}`);
  }
}
