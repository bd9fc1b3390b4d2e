import { setTimeout as sleep } from "node:timers/promises";
import type { Process } from "@kuasar/install/process-table";
import type { Lab } from "../integration/lab.ts";
import type { FaultKind } from "./fault-log.ts";
import type { Findings } from "./finding.ts";
import { outlivesContainerd, outlivesShim } from "./justified.ts";
import type { Random, Weights } from "./random.ts";
import { idsOf, kill9, nameOf, victims } from "./victims.ts";
import type { World } from "./world.ts";

const PAUSE_MS = { least: 40, most: 500 } as const;
/** Commands that live for some milliseconds are waited for, up to this. */
const WATCH_MS = 600;
const OUTAGE_MS = 600;

/** Kills things at random moments, from when it is started until it is stopped. */
export class Injector {
  private stopped = false;
  private containerdIsAway = false;
  private running: Promise<void> | undefined;
  private readonly restarts = new Set<Promise<void>>();

  constructor(
    private readonly lab: Lab,
    private readonly weights: Weights<FaultKind>,
    private readonly world: World,
    private readonly random: Random,
    private readonly findings: Findings,
    private readonly mostPauseMs: number = PAUSE_MS.most,
  ) {}

  start(): void {
    this.stopped = false;
    this.running = this.loop();
  }

  /** Settles when everything that was killed is back. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
    await Promise.all(this.restarts);
  }

  private async loop(): Promise<void> {
    while (!this.stopped) {
      await sleep(this.random.integer(PAUSE_MS.least, this.mostPauseMs));
      if (!this.stopped) await this.inject(this.random.weighted(this.weights));
    }
  }

  private async inject(kind: FaultKind): Promise<void> {
    const { shim } = this.lab.runtimeCase;
    switch (kind) {
      case "sandboxer":
      case "containerd":
      case "both":
        this.restart(kind);
        return;
      case "shim":
        return this.killOne(kind, () => victims.shims(shim).filter((process) => this.mayLoseShim(process)));
      case "pause":
        return this.killOne(kind, victims.pauses);
      case "init":
        return this.killInit();
      case "exec":
        return this.killExec();
      case "start command":
        return this.killPassing(kind, () => victims.startCommands(shim));
      case "delete command":
        return this.killPassing(kind, () => victims.deleteCommands(shim));
      case "runc":
        return this.killPassing(kind, victims.runtimes);
      case "hypervisor":
        return this.killOne(kind, victims.hypervisors);
      case "virtiofsd":
        return this.killOne(kind, victims.virtiofsds);
      case "compiler":
        return this.killPassing(kind, victims.compilers);
    }
  }

  /** One outage at a time: a supervisor, too, restarts what it has started. */
  private restart(kind: "sandboxer" | "containerd" | "both"): void {
    const { runtimeCase } = this.lab;
    const pods = [...this.world.pods];
    if (this.restarts.size > 0) return;
    if (kind !== "sandboxer" && !pods.every((pod) => outlivesContainerd(pod, runtimeCase))) return;
    const restart = this.outage(kind, this.random.integer(0, OUTAGE_MS))
      .catch((error: Error) => this.findings.add("broken", `${kind} does not come back: ${error.message}`))
      .finally(() => this.restarts.delete(restart));
    this.restarts.add(restart);
  }

  private async outage(kind: "sandboxer" | "containerd" | "both", lastsMs: number): Promise<void> {
    const { containerd } = this.lab;
    const parts =
      kind === "both" ? [this.lab.sandboxer, containerd] : [kind === "sandboxer" ? this.lab.sandboxer : containerd];
    const back = this.world.strikeAll(kind);
    this.containerdIsAway = kind !== "sandboxer";
    try {
      await Promise.all(parts.map((part) => part.kill("SIGKILL")));
      await sleep(lastsMs);
      await Promise.all(parts.map((part) => part.start()));
    } finally {
      this.containerdIsAway = false;
      back();
    }
  }

  private mayLoseShim(shim: Process): boolean {
    const { runtimeCase } = this.lab;
    const owners = this.world.owners(idsOf(shim));
    return (
      !(this.containerdIsAway && runtimeCase.sandboxMode === "shim") &&
      owners.every((pod) => outlivesShim(pod, runtimeCase))
    );
  }

  private async killOne(kind: FaultKind, find: () => Process[]): Promise<void> {
    const found = find();
    if (found.length > 0) this.kill(kind, this.random.pick(found));
  }

  private async killPassing(kind: FaultKind, find: () => Process[]): Promise<void> {
    const waitsMs = this.random.chance(0.5) ? 0 : this.random.integer(1, 20);
    for (const until = Date.now() + WATCH_MS; Date.now() < until && !this.stopped; await sleep(1)) {
      const found = find();
      if (found.length === 0) continue;
      const victim = this.random.pick(found);
      if (waitsMs > 0) await sleep(waitsMs);
      // A `start` may have become a shim by now, whose end would be quite another fault.
      if (!find().some(({ pid }) => pid === victim.pid)) return;
      this.kill(kind, victim);
      return;
    }
  }

  private kill(kind: FaultKind, victim: Process): void {
    const ids = idsOf(victim);
    // Nothing of it can be read any more: it has ended, and its pid may be another's soon.
    if (ids.size === 0) return;
    for (const pod of kind === "runc" || kind === "start command" ? this.world.owners(ids) : []) {
      for (const container of pod.containers) {
        if (container.id === undefined || ids.has(container.id)) container.spoiled = true;
      }
    }
    // A module whose compiler is killed is run as it is: nobody may notice.
    if (kind === "compiler") this.world.faults.strike(kind, []);
    else this.world.strike(kind, ids, victim.argv.join(" "));
    kill9(victim);
  }

  private async killInit(): Promise<void> {
    const found = victims.inits();
    if (found.length === 0) return;
    const victim = this.random.pick(found);
    const known = this.world.container(nameOf(victim));
    if (!known) return;
    known.container.kill();
    known.pod.note(`FAULT init: ${nameOf(victim)} (${victim.pid})`);
    this.world.strike("init", new Set([known.container.id ?? ""]), nameOf(victim));
    kill9(victim);
  }

  private async killExec(): Promise<void> {
    const found = victims.execs();
    if (found.length === 0) return;
    const victim = this.random.pick(found);
    const known = this.world.container(nameOf(victim));
    if (!known) return;
    known.container.execKills.push(Date.now());
    this.world.strike("exec", new Set([known.container.id ?? ""]), nameOf(victim));
    kill9(victim);
  }
}
