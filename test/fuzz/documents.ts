// JSON and TOML texts that are nearly what somebody expects.
import fc from "fast-check";
import { hostileName, hostileNumber, real } from "./hostile.ts";

/** A value of a JSON document, of whatever type. */
const anyValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(null, true, false, "", [], {}, [null], [[]], [{}]),
  hostileName,
  hostileNumber,
);

export type Change = { readonly path: readonly number[]; readonly value?: unknown };

/** Where a document is changed: at each level the number chooses one of what is there; without a value it goes. */
export const changes: fc.Arbitrary<Change[]> = fc.array(
  fc.record(
    { path: fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 5 }), value: anyValue },
    { requiredKeys: ["path"] },
  ),
  { maxLength: 4 },
);

/** A copy of the document with the changes made. */
export function changed(document: unknown, list: readonly Change[]): unknown {
  const copy = structuredClone(document);
  for (const change of list) apply(copy, change);
  return copy;
}

function apply(document: unknown, { path, value }: Change): void {
  let at = document as Record<string, unknown>;
  for (const [depth, choice] of path.entries()) {
    const keys = Object.keys(at);
    const key = keys[choice % Math.max(1, keys.length)];
    if (key === undefined) return;
    const next = at[key];
    if (depth < path.length - 1 && typeof next === "object" && next !== null) {
      at = next as Record<string, unknown>;
      continue;
    }
    if (value === undefined) delete at[key];
    else at[key] = real(value);
    return;
  }
}
