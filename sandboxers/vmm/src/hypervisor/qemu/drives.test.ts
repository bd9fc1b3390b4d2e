import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ErrorCode } from "@kuasar/framework/error/sandbox-error";
import { rejects } from "@kuasar/framework/testing/rejects";
import { expect } from "chai";
import { attachDrive, detachDrive } from "./drives.ts";

type Answer = (args: Record<string, unknown>, send: (message: object) => void) => object;

/** In QEMU's place: says what QEMU 7.2 says. */
function fakeQemu(socket: string, answers: Record<string, Answer>, commands: string[]): Server {
  const server = createServer((connection) => {
    const send = (message: object) => connection.write(`${JSON.stringify(message)}\r\n`);
    send({ QMP: { version: {}, capabilities: [] } });
    createInterface({ input: connection }).on("line", (line) => {
      const {
        execute,
        id,
        arguments: args = {},
      } = JSON.parse(line) as { execute: string; id: string; arguments?: object };
      if (execute === "qmp_capabilities") return send({ return: {}, id });
      commands.push(execute);
      const answer = answers[execute]?.(args as Record<string, unknown>, send) ?? { return: {} };
      return send({ ...answer, id });
    });
  });
  return server.listen(socket);
}

const refusal = (kind: string, desc: string) => ({ error: { class: kind, desc } });

describe("drives of a running QEMU", () => {
  let folder: string;
  let server: Server | undefined;
  let commands: string[];
  const start = (answers: Record<string, Answer>) => {
    const socket = join(folder, "qmp.sock");
    server = fakeQemu(socket, answers, commands);
    return socket;
  };
  const drive = () => ({ path: join(folder, "file"), readOnly: true, durable: false });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kuasar-qmp-"));
    writeFileSync(join(folder, "file"), "");
    commands = [];
  });
  afterEach(() => {
    server?.close();
    rmSync(folder, { recursive: true });
  });

  it("have the address of their unit", async () => {
    expect(await attachDrive(start({}), 7, drive())).to.equal("scsi:7");
    expect(commands).to.deep.equal(["blockdev-add", "device_add"]);
  });

  it("are refused with QEMU's words, and leave nothing half made", async () => {
    const socket = start({ device_add: () => refusal("GenericError", "lun already used") });
    await rejects(attachDrive(socket, 0, drive()), ErrorCode.INTERNAL, /device_add: lun already used/);
    expect(commands).to.deep.equal(["blockdev-add", "device_add", "blockdev-del"]);
  });

  it("are refused for a file that QEMU cannot open so", async () => {
    const socket = start({ "blockdev-add": () => refusal("GenericError", 'Failed to get "write" lock') });
    await rejects(attachDrive(socket, 0, drive()), ErrorCode.FAILED_PRECONDITION, /drive .*file .*"write" lock/);
  });

  it("let go of their file only when the device has gone", async () => {
    let gone = false;
    const socket = start({
      device_del: ({ id }, send) => {
        setTimeout(() => {
          gone = true;
          send({ event: "DEVICE_DELETED", data: { device: "drive9" } });
          send({ event: "DEVICE_DELETED", data: { device: id } });
        }, 5);
        return { return: {} };
      },
      "blockdev-del": () => (gone ? { return: {} } : refusal("GenericError", "Node file1 is in use")),
    });
    await detachDrive(socket, 1);
    expect(commands).to.deep.equal(["device_del", "blockdev-del"]);
  });

  it("need not be there to be taken away", async () => {
    const socket = start({
      device_del: () => refusal("DeviceNotFound", "Device 'drive1' not found"),
      "blockdev-del": () => refusal("GenericError", "Failed to find node with node-name='file1'"),
    });
    await detachDrive(socket, 1);
    expect(commands).to.deep.equal(["device_del", "blockdev-del"]);
  });

  it("are not waited for when QEMU says what is no message", async () => {
    const socket = join(folder, "qmp.sock");
    server = createServer((connection) => connection.write("no JSON\n")).listen(socket);
    await rejects(detachDrive(socket, 1), ErrorCode.UNAVAILABLE, /control socket/);
  });
});
