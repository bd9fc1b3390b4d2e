import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { Command } from "commander";
import { type BaseConfig, type ConfigDefaults, checkLogLevel, loadConfig } from "../config/load-config.ts";
import { errorText } from "../error/sandbox-error.ts";
import type { Logger } from "../log/logger.ts";
import { createPinoLogger } from "../log/pino-logger.ts";
import { createMonitors } from "../monitor/own-monitor.ts";
import type { Sandboxer } from "../sandbox/sandboxer.ts";
import { createStateStore } from "../store/state-store.ts";
import { createDomain } from "./domain.ts";
import { createFront } from "./front.ts";
import { notifyReady } from "./notify.ts";
import { checkStateDirectory, claimStateDirectory } from "./state-directory.ts";
import { createTtrpcServer } from "./ttrpc-server.ts";
import { isServed, listenOnUnixSocket } from "./unix-listener.ts";

/** What one kind of sandboxer adds to the program that all of them are. */
export interface SandboxerProgram<C extends ConfigDefaults<C>> {
  /** "runc-sandboxer" */
  readonly name: string;
  readonly version: string;
  readonly listen: string;
  readonly dir: string;
  /** Also the list of keys that the config file may have. */
  readonly configDefaults: C;
  /** A log level of its own key in the config file; "" where it has none. */
  logLevel?(config: C): string;
  /** `dir` is the folder of the flag --dir; names with a leading dot are free there. */
  create(config: C & BaseConfig, log: Logger, dir: string): Sandboxer;
}

interface Flags {
  readonly listen: string;
  readonly dir: string;
  readonly config?: string;
  readonly logLevel?: string;
  readonly metricsAddress?: string;
}

/**
 * How much code V8 lets run before it compiles what runs most: less than a quarter of its default, since a pod waits for each of a
 * sandboxer's calls, and those of a node are few.
 */
const INTERRUPT_BUDGET = "--interrupt-budget=15000";
// Names with a leading dot are no namespaces.
const MONITORS = ".monitors";
const SHUTDOWN_GRACE_MS = 30_000;
// For the last answers to be sent.
const ANSWER_MS = 20;

/** Runs until a signal ends it. Exits with 1, and a line that says why, if it cannot begin. */
export async function runSandboxer<C extends ConfigDefaults<C>>(program: SandboxerProgram<C>): Promise<void> {
  setFlagsFromString(INTERRUPT_BUDGET);
  const flags = parseFlags(program);
  try {
    await serve(program, flags);
  } catch (error) {
    process.stderr.write(`${program.name}: ${errorText(error)}\n`);
    process.exit(1);
  }
}

function parseFlags({ name, version, listen, dir }: Omit<SandboxerProgram<never>, "create" | "configDefaults">): Flags {
  return new Command(name)
    .version(`${name} ${version}`, "--version")
    .option("--listen <socket>", "serve ttrpc and gRPC on this unix socket", listen)
    .option("--dir <folder>", "keep the state of sandboxes here", dir)
    .option("--config <file>", "a TOML file")
    .option("--log-level <level>", "trace, debug, info, warn, error or fatal; before that of the config file")
    .option("--metrics-address <address>", "serve Prometheus metrics on host:port or on a unix socket")
    .allowExcessArguments(false)
    .parse()
    .opts<Flags>();
}

async function serve<C extends ConfigDefaults<C>>(program: SandboxerProgram<C>, flags: Flags): Promise<void> {
  const config = loadConfig(flags.config, program.configDefaults);
  const level = program.logLevel?.(config) || config.log_level;
  const log = createPinoLogger(
    flags.logLevel ? checkLogLevel(flags.logLevel, "--log-level") : checkLogLevel(level, "config"),
  );
  const store = createStateStore(flags.dir);
  const home = dirname(process.argv[1] ?? "/");
  const monitors = createMonitors(join(flags.dir, MONITORS), [home, join(home, "..", "bin")]);
  const sandboxer = program.create(config, log, flags.dir);
  const domain = createDomain({ sandboxer, store, monitors, log });
  // All that can be refused is refused before anything is touched: another sandboxer may live from what is there.
  await checkStateDirectory(flags.dir);
  domain.check();
  if (await isServed(flags.listen)) {
    throw new Error(`cannot listen on ${flags.listen}: it is already served by another process`);
  }
  mkdirSync(join(flags.dir, MONITORS), { recursive: true, mode: 0o700 });
  await claimStateDirectory(flags.dir);
  sandboxer.tidy?.();
  await domain.recover();
  const ttrpc = createTtrpcServer(domain, log);
  const front = createFront(
    ttrpc,
    async () => (await import("./grpc-server.ts")).createGrpcServer(domain, flags.listen, log),
    log,
  );
  if (flags.metricsAddress !== undefined) {
    const { serveMetrics } = await import("../metrics/serve-metrics.ts");
    await serveMetrics(flags.metricsAddress, domain.registry, sandboxer, log);
  }
  const listener = await listenOnUnixSocket(flags.listen, front);

  // Pods go on: their processes are their monitors' children, and their state is in the store.
  const stop = (signal: string) => {
    log.info({ signal }, "stopping; pods go on");
    listener.close();
    // New calls are refused from now on; those that wait for an exit would never end.
    void ttrpc.shutdown(SHUTDOWN_GRACE_MS).then(() => process.exit(0));
    void domain.idle().then(() => setTimeout(() => process.exit(0), ANSWER_MS));
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  log.info(
    { socket: flags.listen, sandboxes: domain.registry.all().length },
    `${program.name} ${program.version} serves`,
  );
  notifyReady(log);
}
