import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pod } from "@kuasar/install/pod";
import { exitCodeOf } from "../integration/container-end.ts";
import { footprint } from "../integration/footprint.ts";
import { Lab } from "../integration/lab.ts";
import type { Subject } from "./subject.ts";
import { createTracedRuntime, type TracedRuntime } from "./traced-runtime.ts";
import { createTracedShim, type TracedShim } from "./traced-shim.ts";

const LOG_LINES = 15;

/** A lab whose processes can be struck at any point, with a pod in it that must not notice. */
export class CrashLab {
  private constructor(
    readonly subject: Subject,
    readonly lab: Lab,
    readonly shim: TracedShim,
    readonly runtime: TracedRuntime,
    readonly bystander: Pod,
    readonly bystanderContainer: string,
    /** What belongs to the lab while the bystander runs and nothing else. */
    readonly before: readonly string[],
    /** Where traces are written; outside of the lab, to which everything belongs that names it. */
    readonly scratch: string,
  ) {}

  static async start(subject: Subject): Promise<CrashLab> {
    const scratch = mkdtempSync(join(tmpdir(), "kuasar-traces-"));
    const shim = createTracedShim();
    const runtime = createTracedRuntime();
    const sandboxerArgs = subject.hasRuntime ? ["--config", runtime.configFile] : [];
    const extras = { shimDirectory: shim.directory, sandboxerArgs };
    const lab = await Lab.start(subject.runtimeCase, {}, {}, extras);
    try {
      const bystander = await lab.runPod({ network: "cni" });
      const container = await bystander.start();
      // What is made once for all containers, as a compiled module is, is there before anything is traced.
      const first = await bystander.start(subject.ends);
      await exitCodeOf(bystander, first);
      await lab.containerd.cri.runtime.removeContainer({ containerId: first });
      return new CrashLab(subject, lab, shim, runtime, bystander, container, await footprint(lab), scratch);
    } catch (error) {
      await lab.stop();
      throw error;
    }
  }

  /** What the pods of operations have; a machine cannot have the host's. */
  get network(): "host" | "cni" {
    return this.subject.rootIsHere ? "host" : "cni";
  }

  /** Fails if anything had to be removed by force. */
  async stop(): Promise<void> {
    try {
      await this.bystander.remove();
      await this.lab.assertNothingLeft();
    } finally {
      await this.lab.stop();
      this.shim.remove();
      this.runtime.remove();
      rmSync(this.scratch, { recursive: true });
    }
  }

  /** What containerd and the sandboxer have said last. */
  showLogs(say: (line: string) => void): void {
    for (const file of [this.lab.containerd.layout.logFile, this.lab.sandboxer.options.logFile]) {
      say(`        the end of ${file}:`);
      for (const line of readFileSync(file, "utf8").trimEnd().split("\n").slice(-LOG_LINES)) say(`          ${line}`);
    }
  }

  /** The supervisors' part: whoever is down is started again. */
  async restart(): Promise<void> {
    if (this.lab.sandboxer.pid === undefined) await this.lab.sandboxer.start();
    if (this.lab.containerd.pid === undefined) await this.lab.containerd.start();
  }
}
