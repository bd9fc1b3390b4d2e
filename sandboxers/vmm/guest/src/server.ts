import "@kuasar/shim/platform/globals";
import { createLog } from "@kuasar/shim/log";
import { createProcessTable } from "@kuasar/shim/monitor/process-table";
import { registerMonitor } from "@kuasar/shim/monitor/service";
import { runLoop, setUncaughtHandler } from "@kuasar/shim/platform/loop";
import { powerOff } from "guest";
import * as sys from "sys";
import { createServer } from "ttrpc-ts";
import { serveChannel } from "./channel.ts";
import { createGuestIo } from "./guest-io.ts";
import { registerGuest } from "./service.ts";

function serve({ channel }: { channel: string }): void {
  sys.openLoop();
  const log = createLog({ program: "vmm-task" }, false);
  setUncaughtHandler((error) => log.error("an error that nothing handled", { error, stack: (error as Error).stack }));
  const table = createProcessTable();
  const io = createGuestIo();
  table.onExit = ({ key }) => io.ended(key);
  const server = createServer({ onError: (error) => log.warn("ttrpc", { error }) });
  registerMonitor(server, table);
  registerGuest(server, table, io);
  serveChannel(server, channel).catch((error: unknown) => {
    log.error("the channel to the host", { error });
    powerOff();
  });
  runLoop();
}

Object.assign(globalThis, { main: () => serve(JSON.parse(sys.inheritance()) as { channel: string }) });
