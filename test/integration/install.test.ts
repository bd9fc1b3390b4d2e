import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { programPath } from "@kuasar/install/programs";
import { assert } from "chai";
import { execa } from "execa";

describe("kuasar install", () => {
  let prefix: string;
  beforeEach(async () => {
    prefix = await mkdtemp(join(tmpdir(), "kuasar-prefix-"));
  });
  afterEach(() => rm(prefix, { recursive: true }));

  const kuasar = async (...args: string[]): Promise<string> => {
    const places = ["--prefix", prefix, "--unit-dir", join(prefix, "units")];
    return (await execa(programPath("kuasar"), [...args, ...places], { timeout: 60_000 })).stdout;
  };
  const shim = () =>
    execa(join(prefix, "bin", "containerd-shim-kuasar-v2"), ["-v"], { timeout: 10_000, reject: false });

  it("puts programs that run in PREFIX/bin and a unit for each sandboxer, and says what config.toml needs", async () => {
    const said = await kuasar("install");
    assert.equal((await shim()).exitCode, 0);
    const sandboxer = await execa(join(prefix, "bin", "runc-sandboxer"), ["--help"], { timeout: 10_000 });
    assert.include(sandboxer.stdout, "--listen");
    assert.deepEqual(readdirSync(join(prefix, "units")).includes("kuasar-runc.service"), true);
    assert.include(said, "containerd.runtimes.kuasar]");
  });

  it("has the shim in its place at every moment of an upgrade, and keeps one release", async () => {
    await kuasar("install");
    const releases = join(prefix, "lib", "kuasar", "releases");
    await execa("mv", [join(releases, readdirSync(releases)[0] as string), join(releases, "before")]);
    await execa("ln", ["-sfn", join(releases, "before"), join(prefix, "lib", "kuasar", "current")]);
    let upgrading = true;
    const upgrade = kuasar("install").finally(() => {
      upgrading = false;
    });
    while (upgrading) assert.equal((await shim()).exitCode, 0);
    await upgrade;
    assert.equal((await shim()).exitCode, 0);
    assert.lengthOf(readdirSync(releases), 1);
    assert.notInclude(readdirSync(releases), "before");
  });

  it("leaves nothing behind when it is uninstalled", async () => {
    await kuasar("install");
    await kuasar("uninstall");
    assert.deepEqual(readdirSync(join(prefix, "bin")), []);
    assert.deepEqual(readdirSync(join(prefix, "units")), []);
    assert.isFalse(existsSync(join(prefix, "lib", "kuasar")));
  });

  it("changes nothing with --dry-run", async () => {
    await kuasar("install", "--dry-run");
    assert.deepEqual(readdirSync(prefix), []);
  });
});
