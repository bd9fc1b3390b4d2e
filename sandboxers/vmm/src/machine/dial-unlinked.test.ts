import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { dialUnlinked } from "./dial-unlinked.ts";

describe("a connection to a socket in a folder of a hypervisor's", () => {
  let folder: string;
  let server: Server;
  const outcome = (socket: Socket) =>
    new Promise<string>((resolve) => {
      socket.on("data", (bytes) => resolve(`${bytes}`)).on("error", ({ message }) => resolve(message));
    });

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "kuasar-"));
    server = createServer((socket) => socket.end("hello"));
    await new Promise<void>((resolve) => server.listen(join(folder, "socket"), resolve));
  });
  afterEach(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  it("is made to the socket itself, and not to where a link in its place leads", async () => {
    symlinkSync(join(folder, "socket"), join(folder, "link"));
    expect(await outcome(dialUnlinked(join(folder, "socket")))).to.equal("hello");
    expect(await outcome(dialUnlinked(join(folder, "link")))).to.match(/ECONNREFUSED/);
    expect(() => dialUnlinked(join(folder, "gone"))).to.throw(/ENOENT/);
  });
});
