import { isJsonObject, type JsonObject } from "../store/json.ts";

/** A blob, and what it is: https://github.com/opencontainers/image-spec/blob/main/descriptor.md */
export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:` and 64 digits: no other is taken. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  readonly annotations: Readonly<Record<string, string>>;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Undefined for what is none, or has a digest of another kind. Images are anybody's: nothing in them is trusted. */
export function readDescriptor(value: unknown): Descriptor | undefined {
  if (!isJsonObject(value)) {
    return undefined;
  }
  const { mediaType, digest, size, annotations, platform } = value;
  if (typeof mediaType !== "string" || typeof digest !== "string" || !DIGEST.test(digest)) {
    return undefined;
  }
  if (!Number.isSafeInteger(size) || (size as number) < 0) {
    return undefined;
  }
  const texts = isJsonObject(annotations) ? onlyTexts(annotations) : {};
  const base = { mediaType, digest, size: size as number, annotations: texts };
  if (!isJsonObject(platform)) {
    return base;
  }
  return { ...base, platform: { os: String(platform.os), architecture: String(platform.architecture) } };
}

/** Those in a list; whatever else is in it is left out. */
export function readDescriptors(value: unknown): Descriptor[] {
  return (Array.isArray(value) ? value : []).map(readDescriptor).filter((descriptor) => descriptor !== undefined);
}

function onlyTexts(object: JsonObject): Record<string, string> {
  return Object.fromEntries(
    Object.entries(object).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}
