import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "@kuasar/install/wait-until";
import { assert } from "chai";
import { execa } from "execa";
import { useLab } from "./lab.ts";
import { vmCases } from "./vm-case.ts";

/** As containerd's runtime/v2/logging has it: output on 3, errors on 4, ready when 5 is closed. */
const driver = `#!/bin/sh
env | grep '^CONTAINER_' | sort > "$2.env"
exec 5>&-
cat <&4 > "$2.err" &
cat <&3 > "$2.out"
wait
echo over > "$2.end"
`;
const shortDriver = "#!/bin/sh\nexec 5>&-\nread line <&3\n";

for (const runtimeCase of vmCases.filter(({ criSandboxes }) => !criSandboxes)) {
  describe(`The log of a container in ${runtimeCase.title}`, function () {
    this.timeout(240_000);
    const lab = useLab(runtimeCase);

    afterEach(() => lab().assertNothingLeft());

    it("goes where its URI says, a file or a program's pipes, and loses nothing when the sandboxer is killed", async () => {
      const { containerd, sandboxer, directory } = lab();
      const logs = join(directory, "logs");
      mkdirSync(logs);
      const program = (name: string, script: string) => {
        writeFileSync(join(logs, name), script);
        chmodSync(join(logs, name), 0o755);
        return `binary://${join(logs, name)}`;
      };
      const textOf = (name: string) => (existsSync(join(logs, name)) ? readFileSync(join(logs, name), "utf8") : "");
      const exec = (id: string, flags: readonly string[], ...command: string[]) =>
        containerd.ctr(["task", "exec", "--exec-id", id, ...flags, "logged", ...command], { reject: false });

      const uri = `${program("driver", driver)}?result=${join(logs, "init")}`;
      const script = "echo one; while [ ! -e /go ]; do sleep 0.2; done; echo two; echo three >&2; exit 3";
      const [ctr, ...args] = containerd.ctrCommand(
        lab().ctrRunArgs(["--rm", "--log-uri", uri], "logged", "sh", "-c", script),
      );
      const running = execa(ctr, args, { reject: false });
      await waitUntil(() => textOf("init.out") === "one\n", { what: "the first line", timeoutMs: 120_000 });
      assert.equal(textOf("init.env"), `CONTAINER_ID=logged\nCONTAINER_NAMESPACE=${containerd.ctrNamespace}\n`);

      await sandboxer.kill("SIGKILL");
      await sandboxer.start();

      const file = `file://${join(logs, "deep", "exec%20log")}`;
      assert.equal((await exec("e1", ["--log-uri", file], "sh", "-c", "echo out; echo err >&2; exit 4")).exitCode, 4);
      assert.deepEqual(textOf("deep/exec log").trim().split("\n").sort(), ["err", "out"]);
      assert.equal(statSync(join(logs, "deep", "exec log")).mode & 0o777, 0o644);

      // Nobody reads any more: as on the host, by SIGPIPE.
      assert.equal((await exec("e2", ["--log-uri", program("short", shortDriver)], "yes")).exitCode, 141);

      const absent = await exec("e3", ["--log-uri", "binary:///no/such/driver"], "true");
      assert.match(absent.stderr, /failed to start the log driver \/no\/such\/driver: .*no such file or directory/);

      await exec("e4", [], "touch", "/go");
      assert.equal((await running).exitCode, 3);
      await waitUntil(() => existsSync(join(logs, "init.end")), { what: "the driver's end", timeoutMs: 20_000 });
      assert.equal(textOf("init.out"), "one\ntwo\n");
      assert.equal(textOf("init.err"), "three\n");
    });
  });
}
