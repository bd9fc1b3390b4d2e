import type { CrashLab } from "./crash-lab.ts";
import type { CrashPoint } from "./crash-point.ts";
import type { Operation, Scene } from "./operations.ts";

/** A process of the house that is struck, or at whose points another one is. */
export interface Part {
  readonly name: string;
  /** The pod is lost that the operation is about, and what is said of its processes is not what they would have said. */
  readonly losesPod?: boolean;
  /** Whether its points are found by running the operation once; else they are these. */
  readonly points?: (operation: Operation) => readonly CrashPoint[];
  /** Whether it can be struck in that operation at all. */
  takesPartIn(operation: Operation): boolean;
  /** From now on it is traced, and struck at the point if there is one. */
  arm(crash: CrashLab, operation: Operation, scene: Scene, point: CrashPoint | undefined): Promise<Armed>;
  /** Kills whoever else is to be killed, once the blow has fallen, and lets go whoever was stopped for it. */
  strike?(crash: CrashLab, armed: Armed, point: CrashPoint): Promise<void>;
}

export interface Armed {
  /** Where the trace is written, if there is one. */
  readonly trace: string;
  /** Whether the blow has fallen. */
  struck(): boolean;
  /** Of the traced process, once it is known. */
  pid(): number | undefined;
  disarm(): Promise<void>;
}
