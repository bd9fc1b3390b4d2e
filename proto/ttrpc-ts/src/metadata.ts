/** A call's metadata: for each key, in lower case, its values in order. */
export type Metadata = Readonly<Record<string, readonly string[]>>;

// Without a prototype: a peer may well send the key "__proto__" or "constructor".
export const NO_METADATA: Metadata = Object.freeze(Object.create(null) as Metadata);

/** Adds one pair as it came; keys are compared in lower case, as containerd's ttrpc does on lookup. */
export function appendMetadata(metadata: Metadata, key: string, value: string): Metadata {
  const target = (metadata === NO_METADATA ? Object.create(null) : metadata) as Record<string, string[]>;
  const name = key.toLowerCase();
  const values = target[name];
  if (values === undefined) {
    target[name] = [value];
  } else {
    values.push(value);
  }
  return target;
}
