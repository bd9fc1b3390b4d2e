import { once } from "node:events";
import { assert } from "chai";
import { execa } from "execa";
import { useLab } from "./lab.ts";
import { wasmCases, wasmEngines } from "./wasm-case.ts";
import { wasmReference } from "./wasm-modules.ts";

for (const engine of wasmEngines) {
  const [runtimeCase] = wasmCases(engine);
  if (!runtimeCase) throw new Error("there is no case");

  describe(`ctr run of modules by ${runtimeCase.title}`, function () {
    this.timeout(120_000);
    const lab = useLab(runtimeCase);

    afterEach(() => lab().assertNothingLeft());

    const run = async (id: string, flags: readonly string[], ...command: string[]) =>
      lab().containerd.ctr(lab().ctrRunImageArgs(wasmReference, ["--rm", ...flags], id, ...command), { reject: false });

    it("says hello, by the image's entrypoint and by a module's name", async () => {
      assert.equal((await run("hello", [])).stdout, "hello from wasm");
      assert.equal((await run("hello-again", [], "/hello.wasm")).stdout, "hello from wasm");
    });

    it("has the arguments and the environment", async () => {
      const { stdout } = await run("list", ["--env", "MINE=1"], "/list.wasm", "one", "two words", "--flag");
      const words = stdout.split("\0");
      assert.deepEqual(words.slice(1, 4), ["one", "two words", "--flag"]);
      assert.includeMembers(words, ["FROM=image", "MINE=1"]);
    });

    it("ends with the module's exit code, and with 134 for a trap", async () => {
      const exit = await run("exit", [], "/exit.wasm");
      assert.equal(exit.exitCode, 42, exit.stderr);
      const trap = await run("trap", [], "/trap.wasm");
      assert.equal(trap.exitCode, 134, trap.stderr);
    });

    it("calls the function that is named", async () => {
      const { stdout, stderr } = await run("function", [], "/exit.wasm#called");
      assert.equal(stdout, "called", stderr);
    });

    it("passes on standard input to its end", async () => {
      const args = lab().ctrRunImageArgs(wasmReference, ["--rm"], "echo", "/echo.wasm");
      const [program, ...rest] = lab().containerd.ctrCommand(args);
      const running = execa(program, rest);
      // ctr forwards the end of its input only once the task runs.
      await once(running.stdout, "data");
      running.stdin.end("typed\n");
      assert.equal((await running).stdout, "ready\ntyped");
    });

    it("shows the image's files and nothing above them", async () => {
      assert.equal((await run("file", [], "/file.wasm")).stdout, "of the image");
      assert.notEqual((await run("parent", [], "/parent.wasm")).exitCode, 0);
      assert.equal((await run("link", [], "/link.wasm")).stdout, "hello from wasm");
    });

    it("says what is wrong with a module that is none, is not there, or is another file", async () => {
      assert.match((await run("corrupt", [], "/corrupt.wasm")).stderr, /refuses the module: /);
      assert.match((await run("absent", [], "/absent.wasm")).stderr, /module "\/absent.wasm": no such file/);
      assert.match((await run("escape", [], "/escape.wasm")).stderr, /"\/escape.wasm" is not a WebAssembly module/);
    });

    it("runs no native code that comes with a module", async () => {
      const { stdout, stderr } = await run("native", [], "/native.wasm");
      if (engine === "wasmedge")
        assert.match(stderr, /compiled by wasmedge elsewhere: expected a module without native/);
      else assert.equal(stdout, "hello from wasm");
    });

    it("opens a device that it is given, and no other", async () => {
      assert.equal((await run("device", ["--device", "/dev/null"], "/device.wasm")).exitCode, 0);
      assert.notEqual((await run("no-device", [], "/device.wasm")).exitCode, 0);
    });

    it("writes to a mount that may be written to, and not to one that may not", async () => {
      const target = lab().directory;
      const mount = (access: string) => ["--mount", `type=bind,src=${target},dst=/data,options=rbind:${access}`];
      assert.equal((await run("rw", mount("rw"), "/write.wasm")).exitCode, 0);
      assert.notEqual((await run("ro", mount("ro"), "/write.wasm")).exitCode, 0);
    });
  });
}
