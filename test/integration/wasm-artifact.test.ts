import { waitUntil } from "@kuasar/install/wait-until";
import { assert } from "chai";
import { exitCodeOf } from "./container-end.ts";
import { useLab } from "./lab.ts";
import { wasmCases, wasmEngines } from "./wasm-case.ts";
import { wasmModules } from "./wasm-modules.ts";

const modules = (...names: string[]) => Object.fromEntries(names.map((name) => [name, wasmModules[name] as Buffer]));
const one = "docker.io/library/one-module:kuasar";
const several = "docker.io/library/several-modules:kuasar";
const artifact = "docker.io/library/artifact:kuasar";
const images = () => [
  { reference: one, rootfs: [], entrypoint: ["/hello.wasm"], modules: modules("hello.wasm") },
  {
    reference: several,
    rootfs: [{ path: "data/file", type: "file", content: Buffer.from("beside") } as const],
    modules: modules("file.wasm", "exit.wasm", "loop.wasm"),
  },
  { reference: artifact, rootfs: [], modules: modules("hello.wasm"), artifactConfig: true },
];

for (const engine of wasmEngines) {
  for (const runtimeCase of wasmCases(engine)) {
    describe(`Wasm artifacts with ${runtimeCase.title}`, function () {
      this.timeout(120_000);
      const lab = useLab({ ...runtimeCase, images });

      afterEach(() => lab().assertNothingLeft());

      it("run in pods: with an image's config, and with that of CNCF's artifacts", async () => {
        const pod = await lab().runPod();
        const byEntrypoint = await pod.start({ image: one, command: [], name: "entrypoint" });
        const byCommand = await pod.start({ image: artifact, command: ["/hello.wasm"], name: "command" });
        for (const id of [byEntrypoint, byCommand]) assert.equal(await exitCodeOf(pod, id), 0);
        for (const name of ["entrypoint", "command"]) {
          const said = () => lab().podLog(name).includes("stdout F hello from wasm");
          await waitUntil(said, { what: `the output of ${name}`, timeoutMs: 5_000 });
        }
        await pod.remove();
      });

      it("say which modules there are when none is named, and have functions to be called by exec", async () => {
        const pod = await lab().runPod();
        const start = (module: string) => pod.start({ image: several, command: [module] });
        assert.equal(await exitCodeOf(pod, await start("/exit.wasm")), 42);
        const refused = await start("/other.wasm").catch((error: Error) => error.message);
        const running = await start("/loop.wasm");
        assert.equal((await pod.exec(running, "/exit.wasm#called")).stdout, "called\n");
        assert.match(String(refused), /the image has several modules, expected one of file.wasm, exit.wasm, loop.wasm/);
        await pod.remove();
      });

      if (runtimeCase.sandboxMode !== "shim") {
        const run = (image: string, id: string, ...command: string[]) =>
          lab().containerd.ctr(lab().ctrRunImageArgs(image, ["--rm"], id, ...command), { reject: false });

        it("run by ctr, with the files of the image's other layers around them", async () => {
          assert.equal((await run(one, "one")).stdout, "hello from wasm");
          assert.equal((await run(several, "several", "/file.wasm")).stdout, "beside");
          assert.match((await run(artifact, "refused", "/hello.wasm")).stderr, /unknown image config media type/);
        });
      }
    });
  }
}
