import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { programPath } from "@kuasar/install/programs";
import { waitUntil } from "@kuasar/install/wait-until";
import { MonitorService } from "@kuasar/proto/definitions";
import { createClient, createStub, type Stub } from "ttrpc-ts";
import { connect } from "ttrpc-ts/node";

const SIGKILL = 9;

/** A kuasar-monitor of one test's own. */
export interface LiveMonitor {
  readonly folder: string;
  readonly monitor: Stub<typeof MonitorService>;
  /** Ends its processes; throws if it does not end by itself then, without processes and connections. */
  end(): Promise<void>;
}

export async function startMonitor(): Promise<LiveMonitor> {
  const folder = mkdtempSync(join(tmpdir(), "kuasar-monitor-"));
  const socket = join(folder, "m.sock");
  execFileSync(programPath("kuasar-monitor"), ["--socket", socket]);
  const client = createClient(await connect(socket, { timeoutMs: 5_000 }));
  const monitor = createStub(MonitorService, client);
  return {
    folder,
    monitor,
    async end() {
      for (const { key, exited } of (await monitor.list({})).processes) {
        if (!exited) await monitor.signal({ key, signal: SIGKILL });
        await monitor.wait({ key });
        await monitor.release({ key });
      }
      client.close();
      await waitUntil(() => !existsSync(socket), { what: "the monitor to end", timeoutMs: 5_000 });
      rmSync(folder, { recursive: true });
    },
  };
}
