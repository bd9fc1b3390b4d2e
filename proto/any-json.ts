import type { Any } from "./any.ts";

/** Packs a value as JSON, which is how containerd hands about OCI documents. */
export function packJson(typeUrl: string, value: unknown): Any {
  return { typeUrl, value: new TextEncoder().encode(JSON.stringify(value)) };
}

/** Whatever JSON the Any holds, to be validated by the caller. Throws an Error that names the type and the fault. */
export function unpackJson(any: Any): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(any.value));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`expected JSON in an Any of type "${any.typeUrl}": ${reason}`, { cause });
  }
}
