import { invalidArgument } from "../error/sandbox-error.ts";

const PATTERN = /^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$/;
const MAX_LENGTH = 76;

/**
 * Throws INVALID_ARGUMENT unless the value is a containerd identifier, which is also what makes it safe as one
 * component of a path. `what` names the field: "sandbox id", "exec id".
 * Contract: containerd's `identifiers/validate.go`.
 */
export function validateIdentifier(value: string, what: string): void {
  if (value.length === 0) {
    throw invalidArgument(`${what} must not be empty`);
  }
  if (value.length > MAX_LENGTH) {
    throw invalidArgument(`${what} ${quote(value)} is ${value.length} characters long, the limit is ${MAX_LENGTH}`);
  }
  if (!PATTERN.test(value)) {
    throw invalidArgument(`${what} ${quote(value)} must match ${PATTERN.source}`);
  }
}

/** A value as it may appear in an error text: control characters escaped, and no longer than is useful. */
export function quote(value: string): string {
  return JSON.stringify(value.length > 120 ? `${value.slice(0, 120)}...` : value);
}
