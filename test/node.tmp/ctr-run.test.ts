import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { assert } from "chai";
import { execa } from "execa";
import { useLab } from "./lab.ts";
import { runtimeCases } from "./runtime-case.ts";

for (const runtimeCase of runtimeCases.filter(({ criSandboxes }) => !criSandboxes)) {
  describe(`ctr run through ${runtimeCase.title}`, function () {
    this.timeout(60_000);
    const lab = useLab(runtimeCase);

    afterEach(() => lab().assertNothingLeft());

    it("says hello", async () => {
      const { containerd } = lab();
      const { stdout } = await containerd.ctr(lab().ctrRunArgs(["--rm"], "hello", "echo", "hello world"));
      assert.equal(stdout, "hello world");
    });

    it("passes on standard input to its end, and keeps output and errors apart", async () => {
      const command = ["sh", "-c", "echo ready; cat; echo err >&2"];
      const [program, ...args] = lab().containerd.ctrCommand(lab().ctrRunArgs(["--rm"], "cat", ...command));
      const running = execa(program, args);
      // ctr forwards the end of its input only once the task runs.
      await once(running.stdout, "data");
      running.stdin.end("from outside\n");
      const { stdout, stderr } = await running;
      assert.equal(stdout, "ready\nfrom outside");
      assert.equal(stderr, "err");
    });

    for (const code of [1, 7, 255]) {
      it(`ends with the container's exit code ${code}`, async () => {
        const args = lab().ctrRunArgs(["--rm"], `exit-${code}`, "sh", "-c", `exit ${code}`);
        const result = await lab().containerd.ctr(args, { reject: false });
        assert.equal(result.exitCode, code);
      });
    }

    it("ends with 137 when the container is killed by SIGKILL", async () => {
      const { containerd } = lab();
      const script = "echo ready; while :; do sleep 1; done";
      const [program, ...args] = containerd.ctrCommand(lab().ctrRunArgs(["--rm"], "killed", "sh", "-c", script));
      const running = execa(program, args, { reject: false });
      await once(running.stdout, "data");
      await containerd.ctr(["task", "kill", "--signal", "SIGKILL", "killed"]);
      assert.equal((await running).exitCode, 137);
    });

    it("gives an interactive container a terminal", async () => {
      const args = lab().ctrRunArgs(["--rm", "--tty"], "terminal", "sh");
      const { exitCode, stdout } = await onTerminal(args, 'tty; echo "sum $((40 + 2))"; exit 5\n');
      assert.match(stdout, /\/dev\/(pts\/\d|console)/);
      assert.include(stdout, "sum 42");
      assert.equal(exitCode, 5);
    });

    it("executes a command in a running container, with and without a terminal", async () => {
      const { containerd } = lab();
      await containerd.ctr(lab().ctrRunArgs(["--detach"], "exec", "sleep", "1000"));
      const plain = await containerd.ctr(["task", "exec", "--exec-id", "one", "exec", "sh", "-c", "echo in; exit 9"], {
        reject: false,
      });
      assert.deepInclude(plain, { stdout: "in", exitCode: 9 });
      const terminal = await onTerminal(["task", "exec", "--tty", "--exec-id", "two", "exec", "sh"], "tty; exit 6\n");
      assert.match(terminal.stdout, /\/dev\/(pts\/\d|console)/);
      assert.equal(terminal.exitCode, 6);
      await containerd.ctr(["task", "rm", "--force", "exec"], { reject: false });
      await containerd.ctr(["container", "rm", "exec"]);
    });

    it("pauses, resumes, lists processes and gives metrics", async () => {
      const { containerd } = lab();
      await containerd.ctr(lab().ctrRunArgs(["--detach"], "task", "sleep", "1000"));
      await containerd.ctr(["task", "pause", "task"]);
      assert.match((await containerd.ctr(["task", "ls"])).stdout, /task\s+\d+\s+PAUSED/);
      await containerd.ctr(["task", "resume", "task"]);
      assert.match((await containerd.ctr(["task", "ls"])).stdout, /task\s+\d+\s+RUNNING/);
      assert.match((await containerd.ctr(["task", "ps", "task"])).stdout, /^\d+/m);
      assert.include((await containerd.ctr(["task", "metrics", "task"])).stdout, "memory");
      await containerd.ctr(["task", "rm", "--force", "task"], { reject: false });
      await containerd.ctr(["container", "rm", "task"]);
    });

    it("leaves nothing behind when the program is not there", async () => {
      const args = lab().ctrRunArgs(["--rm"], "missing", "/no/such/program");
      const result = await lab().containerd.ctr(args, { reject: false });
      assert.notEqual(result.exitCode, 0);
      assert.include(result.stderr, "/no/such/program");
    });

    /** script(1) has a terminal to give, but takes its command as shell text only: so the words come by a file. */
    async function onTerminal(ctrArgs: readonly string[], input: string) {
      const wordsFile = join(lab().directory, "terminal-command");
      writeFileSync(wordsFile, `${lab().containerd.ctrCommand(ctrArgs).join("\n")}\n`);
      const readAndRun = 'while IFS= read -r word; do set -- "$@" "$word"; done < "$WORDS_FILE"; exec "$@"';
      return execa("script", ["--quiet", "--return", "--command", readAndRun, "/dev/null"], {
        input,
        reject: false,
        env: { WORDS_FILE: wordsFile, SHELL: "/bin/sh", TERM: "xterm" },
      });
    }
  });
}
