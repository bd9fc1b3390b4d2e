import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "@kuasar/framework/proc/find-program";
import { programPath } from "@kuasar/install/programs";
import { waitUntil } from "@kuasar/install/wait-until";
import { kuasar } from "@kuasar/proto/containerd";
import { MonitorService } from "@kuasar/proto/definitions";
import { assert } from "chai";
import { createClient, createStub } from "ttrpc-ts";
import { connect } from "ttrpc-ts/node";

const api = kuasar.monitor.v1;
const env = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];
const SIGKILL = 9;
const strace = findProgram("strace");

describe("On a kernel before Linux 5.12", function () {
  this.timeout(20_000);

  for (const absent of ["open_tree", "mount_setattr"]) {
    const title = `without ${absent} a pause process starts in its empty root, and runc as well`;
    (strace ? it : it.skip)(strace ? title : `${title} (needs strace)`, async () => {
      const folder = mkdtempSync(join(tmpdir(), "kuasar-old-"));
      const socket = join(folder, "m.sock");
      const inject = ["-e", `trace=${absent}`, "-e", `inject=${absent}:error=ENOSYS`];
      const monitorCommand = [programPath("kuasar-monitor"), "--socket", socket];
      execFileSync(strace as string, ["-D", "-f", "-o", "/dev/null", ...inject, ...monitorCommand], {
        stdio: "ignore",
      });
      const client = createClient(await connect(socket, { timeoutMs: 5_000 }));
      const monitor = createStub(MonitorService, client);
      const key = "pause";
      const spawn = api.SpawnRequest.create({ key, argv: ["catatonit", "-P"], env, emptyRoot: true });
      const { pid } = await monitor.spawn(spawn);
      assert.deepEqual(readdirSync(`/proc/${pid}/root/`), []);
      const run = api.RunRequest.create({ argv: ["runc", "--version"], env });
      assert.match(Buffer.from((await monitor.run(run)).stdout).toString(), /^runc version/);
      await monitor.signal({ key, signal: SIGKILL });
      await monitor.wait({ key });
      await monitor.release({ key });
      client.close();
      await waitUntil(() => !existsSync(socket), { what: "the monitor to end", timeoutMs: 5_000 });
      rmSync(folder, { recursive: true });
    });
  }
});
