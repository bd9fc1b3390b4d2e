import { readFileSync } from "node:fs";
import { parse, TomlError } from "smol-toml";
import { errorText } from "../error/sandbox-error.ts";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** The keys that every sandboxer's config file has. */
export interface BaseConfig {
  readonly log_level: LogLevel;
}

type Scalar = string | number | boolean;

/**
 * A TOML file with some of the keys of `defaults`, each of its default's type. Throws an Error that names the file,
 * the key, what was expected and what came; an unknown key is an error. Without a file, the defaults.
 */
export function loadConfig<C extends { readonly [K in keyof C]: Scalar }>(
  path: string | undefined,
  defaults: C,
): C & BaseConfig {
  const known: Record<string, Scalar> = { log_level: "info", ...defaults };
  const config = { ...known };
  for (const [key, value] of Object.entries(path === undefined ? {} : readToml(path))) {
    const fallback = Object.hasOwn(known, key) ? known[key] : undefined;
    if (fallback === undefined) {
      throw new Error(`${path}: unknown key ${JSON.stringify(key)}; known are ${Object.keys(known).join(", ")}`);
    }
    if (typeof value !== typeof fallback) {
      throw new Error(`${path}: ${key} is ${JSON.stringify(value)}, expected a ${typeof fallback}`);
    }
    config[key] = value as Scalar;
  }
  checkLogLevel(String(config.log_level), path ?? "config");
  return config as unknown as C & BaseConfig;
}

/** Throws an Error that names `where` the level was asked for. */
export function checkLogLevel(level: string, where: string): LogLevel {
  const known = LOG_LEVELS.find((candidate) => candidate === level);
  if (known === undefined) {
    throw new Error(`${where}: log level is ${JSON.stringify(level)}, expected one of ${LOG_LEVELS.join(", ")}`);
  }
  return known;
}

function readToml(path: string): Record<string, unknown> {
  const text = readFileSync(path, "utf8");
  try {
    return parse(text);
  } catch (error) {
    const where = error instanceof TomlError ? `:${error.line}:${error.column}` : "";
    throw new Error(`${path}${where}: not TOML: ${errorText(error).split("\n")[0]}`);
  }
}
