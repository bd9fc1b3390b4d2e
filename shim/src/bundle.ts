import { type BundleRecord, type BundleSpec, parseBundleRecord, parseBundleSpec, RECORD } from "./bundle-texts.ts";
import { readTextIfThere, writeTextAtomically } from "./platform/files.ts";

export type { BundleRecord, BundleSpec, Role } from "./bundle-texts.ts";

export function readBundleSpec(bundle: string, id: string): BundleSpec {
  return parseBundleSpec(readTextIfThere(`${bundle}/config.json`), id);
}

export function writeBundleRecord(bundle: string, record: BundleRecord): void {
  writeTextAtomically(`${bundle}/${RECORD}`, JSON.stringify(record));
}

/** undefined where there is none. */
export function readBundleRecord(bundle: string): BundleRecord | undefined {
  return parseBundleRecord(readTextIfThere(`${bundle}/${RECORD}`));
}
