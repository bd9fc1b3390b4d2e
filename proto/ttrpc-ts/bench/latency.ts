// Unary ping-pong over a unix socket, server and client in processes of their own: `npm run bench -w ttrpc-ts`.
// With interop/ built (the tests do that, where Go is there), every pair of TypeScript and Go is measured.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { interopImplementation, interopService } from "../interop/service.ts";
import { createClient, createServer, createStub } from "../src/index.ts";
import { connect, listen } from "../src/node.ts";

interface Figures {
  p50Us: number;
  p99Us: number;
  callsPerSecond: number;
}

const CALLS = 20_000;
const CONCURRENCY = [1, 64, 1024];
const self = fileURLToPath(import.meta.url);
const go = fileURLToPath(new URL("../.cache/interop", import.meta.url));

async function serve(path: string): Promise<void> {
  const server = createServer();
  server.register(interopService, interopImplementation);
  await listen(path, (transport) => server.serve(transport));
  process.stdout.write("listening\n");
}

async function measure(path: string, concurrency: number, calls: number): Promise<Figures> {
  const client = createClient(await connect(path));
  const stub = createStub(interopService, client);
  const times = new Float64Array(calls);
  const worker = async (first: number): Promise<void> => {
    for (let i = first; i < calls; i += concurrency) {
      const start = performance.now();
      await stub.echo("ping");
      times[i] = (performance.now() - start) * 1000;
    }
  };
  const begin = performance.now();
  await Promise.all(Array.from({ length: concurrency }, (_, i) => worker(i)));
  const seconds = (performance.now() - begin) / 1000;
  client.close();
  times.sort();
  const at = (part: number): number => times[Math.floor(calls * part)] ?? Number.NaN;
  return { p50Us: at(0.5), p99Us: at(0.99), callsPerSecond: calls / seconds };
}

async function measureGo(path: string, concurrency: number, calls: number): Promise<Figures> {
  const { stdout } = await promisify(execFile)(go, ["bench", path, String(concurrency), String(calls)]);
  return JSON.parse(stdout) as Figures;
}

async function start(command: string, args: string[]): Promise<ChildProcess> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  if (child.stdout !== null) {
    await once(child.stdout, "data");
  }
  return child;
}

async function compare(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "ttrpc-"));
  const rows: Record<string, string>[] = [];
  for (const language of existsSync(go) ? ["TypeScript", "Go"] : ["TypeScript"]) {
    const path = join(directory, `${language}.sock`);
    const server = await (language === "Go"
      ? start(go, ["server", path])
      : start(process.execPath, [...process.execArgv, self, path]));
    for (const client of existsSync(go) ? ["TypeScript", "Go"] : ["TypeScript"]) {
      const run = client === "Go" ? measureGo : measure;
      await run(path, 64, CALLS); // warms both ends
      for (const concurrency of CONCURRENCY) {
        const { p50Us, p99Us, callsPerSecond } = await run(path, concurrency, CALLS);
        rows.push({
          server: language,
          client,
          "at a time": String(concurrency),
          "p50 µs": p50Us.toFixed(0),
          "p99 µs": p99Us.toFixed(0),
          "calls/s": callsPerSecond.toFixed(0),
        });
      }
    }
    server.kill();
  }
  rmSync(directory, { recursive: true });
  console.table(rows);
}

const [path] = process.argv.slice(2);
await (path === undefined ? compare() : serve(path));
