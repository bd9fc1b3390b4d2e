import { GuestService } from "@kuasar/proto/guest-definitions";
import type { ProcessTable } from "@kuasar/shim/monitor/process-table";
import { powerOff, setClock } from "guest";
import type { Server } from "ttrpc-ts";
import { configure, describeMachine } from "./configure.ts";
import { createDialler } from "./dial.ts";
import { closeDrive, openDrive } from "./drives.ts";
import { readFiles, removeAll, writeFiles } from "./guest-files.ts";
import type { GuestIo } from "./guest-io.ts";
import { bringOnline } from "./online.ts";
import { waitForOom } from "./oom.ts";

/** An answer that is encoded already. */
const ENCODED = { encode: (bytes: Uint8Array) => bytes, decode: (bytes: Uint8Array) => bytes };
const Service = {
  ...GuestService,
  methods: { ...GuestService.methods, readOutput: { ...GuestService.methods.readOutput, output: ENCODED } },
};

/** Serves kuasar.guest.v1.Guest (proto/src/kuasar/guest/v1/guest.proto). */
export function registerGuest(server: Server, table: ProcessTable, io: GuestIo): void {
  let configured = false;
  const dialler = createDialler(io);
  server.register(Service, {
    configure: (request) => {
      if (!configured) configure(request);
      configured = true;
      return describeMachine();
    },
    openIo: ({ key, stdin, stdout, stderr }) => io.open({ key, stdin, stdout, stderr }),
    readOutput: async ({ key, fd, offset, from }) => (await io.read({ key, fd, offset, from })).encoded,
    writeInput: async ({ key, offset, data, end }) => {
      await io.write(key, offset, data, end);
      if (end) table.find(key)?.stdio?.closeStdin();
      return {};
    },
    closeOutput: ({ key, fd }) => {
      io.closeOutput(key, fd);
      if (fd === 1 || fd === 2) table.find(key)?.stdio?.closeOutput(fd);
      return {};
    },
    closeIo: ({ key }) => {
      io.close(key);
      return {};
    },
    dial: async (request) => {
      await dialler.dial(request);
      return {};
    },
    writeFiles: ({ files }) => {
      writeFiles(files);
      return {};
    },
    readFiles: ({ paths }) => ({ files: readFiles(paths) }),
    remove: ({ paths }) => {
      removeAll(paths);
      return {};
    },
    waitForOom: ({ cgroup, count, key }) => waitForOom(table, cgroup, count, key),
    setClock: ({ now }) => {
      if (now) setClock(now.seconds, now.nanos);
      return {};
    },
    online: () => bringOnline(),
    openDrive: ({ address, ...mount }) => openDrive(address, mount),
    closeDrive: ({ address }) => {
      closeDrive(address);
      return {};
    },
    powerOff: () => {
      powerOff();
      return {};
    },
  });
}
