import { Code, StatusError } from "ttrpc-ts";
import { findProgram } from "../platform/files.ts";

/** The program that argv starts, looked for in the PATH of its own environment. */
export function requireProgram(argv: readonly string[], env: readonly string[]): string {
  const name = argv[0];
  if (!name) throw new StatusError(Code.INVALID_ARGUMENT, "argv: expected a program and its arguments, got none");
  const program = findProgram(name, env);
  if (!program) throw new StatusError(Code.NOT_FOUND, `argv: ${name}: no such program in PATH`);
  return program;
}
