/** containerd's rule for ids and namespaces (identifiers/validate.go); they become parts of paths. */
const IDENTIFIER = /^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$/;
const MAX_LENGTH = 76;

export function requireIdentifier(field: string, value: string): string {
  if (value.length > MAX_LENGTH || !IDENTIFIER.test(value)) {
    throw new InvalidIdentifier(
      `${field}: expected letters and digits with single ".", "_" or "-" between them, ${MAX_LENGTH} at most, got ${JSON.stringify(value.slice(0, 100))}`,
    );
  }
  return value;
}

export class InvalidIdentifier extends Error {}
