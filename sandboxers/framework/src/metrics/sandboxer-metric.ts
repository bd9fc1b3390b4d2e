import type { Sandbox } from "../sandbox/sandbox.ts";

/** What one kind of sandboxer has to tell Prometheus. https://prometheus.io/docs/practices/naming/ */
export type SandboxerMetric = GaugeMetric | HistogramMetric;

export interface GaugeMetric {
  readonly type: "gauge";
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  /** As it is now; samples with the same labels are added up. */
  samples(sandboxes: readonly Sandbox[]): Iterable<GaugeSample>;
}

export interface GaugeSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface HistogramMetric {
  readonly type: "histogram";
  readonly name: string;
  readonly help: string;
  /** Upper bounds. */
  readonly buckets: readonly number[];
  /** From now on the listener is told of each value as it is observed. */
  onObserved(listener: (value: number) => void): void;
}
