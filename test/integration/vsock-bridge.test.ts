import { strict as assert } from "node:assert";
import { existsSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { Code, type StatusError } from "ttrpc-ts";
import { type LiveMonitor, startMonitor } from "./live-monitor.ts";

/** No machine of this host's has it: it is what a listener that takes all calls itself. */
const NOBODY = 0xffff_ffff;

// What it does where there is a machine, the tests of virtual machines show, with KUASAR_TEST_CHANNEL=vsock.
describe("kuasar-monitor, by which machines are reached over vsock", function () {
  this.timeout(20_000);

  let live: LiveMonitor;
  let path: string;
  beforeEach(async () => {
    live = await startMonitor();
    path = join(live.folder, "vsock");
    await live.monitor.serveVsock({ key: "machine", path, cid: NOBODY });
  });
  afterEach(async () => {
    await live.monitor.release({ key: "machine" });
    await live.end();
  });

  /** What is answered before the connection is closed. */
  function say(...words: string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      let answer = "";
      const socket = connect(path);
      socket.setEncoding("latin1").on("data", (part: string) => {
        answer += part;
      });
      socket.on("error", reject).on("close", () => resolve(answer));
      for (const word of words) socket.write(word);
    });
  }

  it("is root's, and there is one a key", async () => {
    assert.equal(statSync(path).mode & 0o777, 0o600);
    await assert.rejects(
      live.monitor.serveVsock({ key: "machine", path: `${path}2`, cid: NOBODY }),
      hasCode(Code.ALREADY_EXISTS),
    );
    await assert.rejects(
      live.monitor.serveVsock({ key: "other", path: "vsock", cid: NOBODY }),
      hasCode(Code.INVALID_ARGUMENT),
    );
  });

  it("closes a connection that asks for no port, and one to a machine that there is not", async () => {
    for (const words of [
      ["GET / HTTP/1.1\r\n"],
      ["CONNECT x\n"],
      ["CONNECT 4294967295\n"],
      ["CONNECT -1\n"],
      ["y".repeat(64)],
    ]) {
      assert.equal(await say(...words), "");
    }
    assert.equal(await say("CONN", "ECT 1024\n", "frame"), "");
  });

  it("is gone once its key is released", async () => {
    await live.monitor.release({ key: "machine" });
    assert.equal(existsSync(path), false);
  });
});

function hasCode(code: Code) {
  return (error: StatusError) => error.code === code;
}
