import type { Finding } from "./finding.ts";

/** What containerd itself does, whatever shim is below it. Each entry says how that is known. */
interface Known {
  readonly kind: Finding["kind"];
  readonly text: RegExp;
  /** The runtime handlers that it happens with. Default: all. */
  readonly handlers?: readonly string[];
  readonly why: string;
}

const known: readonly Known[] = [];

/** @returns the reason why such a finding is none, if there is one */
export function knownOf(handler: string, kind: Finding["kind"], text: string): string | undefined {
  const fits = (entry: Known) =>
    entry.kind === kind && entry.text.test(text) && (entry.handlers?.includes(handler) ?? true);
  return known.find(fits)?.why;
}
