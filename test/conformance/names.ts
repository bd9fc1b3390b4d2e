/** Gives what differs from run to run (ids, pids, paths) the same name everywhere. */
export class Names {
  private readonly pids = new Map<number, string>();

  /** @param onePid what one runtime has many pids for, the other has one: they are all called the same */
  constructor(
    private readonly replaced: readonly (readonly [string, string])[],
    private readonly onePid = false,
  ) {}

  learnPid(pid: number, name: string): void {
    if (pid !== 0) this.pids.set(pid, this.onePid ? "a process" : name);
  }

  pid(pid: number): string {
    return pid === 0 ? "0" : (this.pids.get(pid) ?? "unknown pid");
  }

  text(text: string): string {
    let plain = text;
    for (const [value, name] of this.replaced) plain = plain.replaceAll(value, name);
    for (const [pid, name] of this.pids) plain = plain.replaceAll(new RegExp(`\\b${pid}\\b`, "g"), `pid of ${name}`);
    return plain.replaceAll(/\/tmp\/ctrd-checkpoint\d+/g, "CHECKPOINT");
  }
}

/** Go's zero time comes as a timestamp of the year 1. */
export function timeText(at: { readonly seconds: number; readonly nanos: number } | null | undefined): string {
  if (!at) return "none";
  if (at.seconds <= 0) return "zero";
  const age = Date.now() / 1000 - at.seconds;
  return age > -5 && age < 120 ? "set" : "set, and wrong";
}
