import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert } from "chai";
import { type Lab, useLab } from "./lab.ts";
import { wasmCases, wasmEngines } from "./wasm-case.ts";
import { wasmCompilers } from "./wasm-compilers.ts";

const reference = "docker.io/library/compiled:kuasar";
const saying = [
  "args [one] [two words]",
  "env of the test",
  "file by a module, 1 in its folder",
  "memory taken, depth 5050",
  "clock 1, random 1",
  "outside denied denied denied",
];

for (const engine of wasmEngines) {
  const [runtimeCase] = wasmCases(engine);
  if (!runtimeCase) throw new Error("there is no case");

  describe(`Modules of real compilers with ${runtimeCase.title}`, function () {
    this.timeout(180_000);
    const lab = useLab(runtimeCase);

    afterEach(() => lab().assertNothingLeft());

    for (const { language, needs, compile } of wasmCompilers) {
      it(`run as ${language} programs do, and see nothing of the host's`, async function () {
        const folder = mkdtempSync(join(tmpdir(), "kuasar-"));
        try {
          const module = await compile(folder);
          if (module === undefined) {
            process.stderr.write(`skipped: there are no ${needs}\n`);
            return this.skip();
          }
          await importProbe(lab(), module);
          mkdirSync(join(folder, "data"));
          const data = [
            "--mount",
            `type=bind,src=${join(folder, "data")},dst=/data,options=rbind:rw`,
            "--env",
            "MINE=of the test",
          ];
          const run = (id: string, ...command: string[]) =>
            lab().containerd.ctr(lab().ctrRunImageArgs(reference, ["--rm", ...data], id, ...command), {
              reject: false,
            });
          const { stdout, stderr, exitCode } = await run("probe", "/probe.wasm", "one", "two words");
          assert.deepEqual([stdout.split("\n"), stderr, exitCode], [saying, "", 7]);
          assert.equal((await run("report", "/probe.wasm#report")).stdout, "reported");
        } finally {
          rmSync(folder, { recursive: true });
        }
      });
    }
  });
}

async function importProbe(lab: Lab, module: Buffer): Promise<void> {
  await lab.containerd.importImage({
    reference,
    rootfs: [
      { path: "probe.wasm", type: "file", content: module },
      { path: "outside", type: "symlink", target: "/../../../etc/shadow" },
    ],
  });
}
