import { createServer } from "node:http";
import { Gauge, Histogram, Registry } from "prom-client";
import type { Logger } from "../log/logger.ts";
import type { SandboxRegistry } from "../sandbox/sandbox-registry.ts";
import type { Sandboxer } from "../sandbox/sandboxer.ts";
import { bindUnixSocket } from "../server/unix-listener.ts";
import type { SandboxerMetric } from "./sandboxer-metric.ts";

/** Serves /metrics on `host:port` or on a unix socket, in Prometheus' text format. */
export async function serveMetrics(
  address: string,
  sandboxes: SandboxRegistry,
  sandboxer: Pick<Sandboxer, "metrics">,
  log: Logger,
): Promise<void> {
  const registry = new Registry();
  countBy(registry, "kuasar_sandboxes", "Sandboxes by state", () => sandboxes.all().map(({ record }) => record.state));
  countBy(registry, "kuasar_tasks", "Tasks by state", () =>
    sandboxes.all().flatMap(({ tasks }) => [...tasks.values()].map(({ record }) => record.state)),
  );
  for (const metric of sandboxer.metrics ?? []) addMetric(registry, metric, sandboxes);
  const server = createServer((request, response) => {
    if (request.url !== "/metrics") {
      response.writeHead(404).end();
      return;
    }
    void registry.metrics().then(
      (text) => response.writeHead(200, { "content-type": registry.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  const to = listenOptions(address);
  if ("path" in to) {
    await bindUnixSocket(server, to.path);
  } else {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(to, resolve);
    });
  }
  server.unref();
  log.info({ address }, "serving metrics");
}

function addMetric(registry: Registry, metric: SandboxerMetric, sandboxes: SandboxRegistry): void {
  const { name, help } = metric;
  if (metric.type === "histogram") {
    const histogram = new Histogram({ name, help, buckets: [...metric.buckets], registers: [registry] });
    metric.onObserved((value) => histogram.observe(value));
    return;
  }
  const { labelNames, samples } = metric;
  new Gauge({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect() {
      this.reset();
      for (const { labels, value } of samples(sandboxes.all())) this.inc(labels, value);
    },
  });
}

function countBy(registry: Registry, name: string, help: string, states: () => string[]): void {
  new Gauge({
    name,
    help,
    labelNames: ["state"],
    registers: [registry],
    collect() {
      this.reset();
      for (const state of states()) {
        this.inc({ state });
      }
    },
  });
}

/** Throws an Error for an address that is neither. */
export function listenOptions(address: string): { path: string } | { host: string; port: number } {
  const path = address.startsWith("unix://") ? address.slice("unix://".length) : address;
  if (path.startsWith("/")) {
    return { path };
  }
  const colon = address.lastIndexOf(":");
  const port = Number(address.slice(colon + 1));
  if (colon < 0 || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Error(`metrics address ${JSON.stringify(address)} must be host:port or the path of a unix socket`);
  }
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, "") || "127.0.0.1", port };
}
