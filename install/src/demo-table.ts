import Table from "cli-table3";

/** What came of one sandboxer and engine: a running container, a reason why not, or a failure. */
export interface DemoRow {
  readonly sandboxer: string;
  readonly engine: string;
  /** From the request for the pod until its container ran. */
  readonly startedMs?: number;
  readonly output?: string;
  /** Proportional set size of the pod's shim. */
  readonly shimKiB?: number;
  /** Proportional set size of the shim, the pause process or the machine, and the sandboxer. */
  readonly totalKiB?: number;
  readonly machine?: true;
  /** Why this machine cannot run it. */
  readonly obstacle?: string;
  readonly error?: string;
}

export function demoTable(rows: readonly DemoRow[]): string {
  const table = new Table({
    head: ["sandboxer", "engine", "started in", "output", "memory"],
    colAligns: ["left", "left", "right", "left", "left"],
    colWidths: [null, null, null, 44, 36],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  for (const { sandboxer, engine, startedMs, output, shimKiB = 0, totalKiB = 0, machine, obstacle, error } of rows) {
    if (startedMs === undefined) {
      table.push([sandboxer, engine, "-", error ? `FAILED: ${error}` : `not here: ${obstacle}`, "-"]);
      continue;
    }
    const memory = `shim ${megabytes(shimKiB)}, with its sandboxer${machine ? " and machine" : ""} ${megabytes(totalKiB)}`;
    table.push([sandboxer, engine, `${startedMs.toFixed(0)} ms`, output ?? "", memory]);
  }
  return table.toString();
}

function megabytes(kibibytes: number): string {
  return `${(kibibytes / 1024).toFixed(1)} MB`;
}
