import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { programPath } from "@kuasar/install/programs";
import { SandboxerProcess } from "@kuasar/install/sandboxer-process";
import { assert } from "chai";
import { execa } from "execa";

describe("kuasar install", () => {
  let prefix: string;
  beforeEach(async () => {
    prefix = await mkdtemp(join(tmpdir(), "kuasar-prefix-"));
  });
  afterEach(() => rm(prefix, { recursive: true }));

  const places = () => ["--prefix", prefix, "--unit-dir", join(prefix, "units")];
  const kuasar = async (...args: string[]): Promise<string> =>
    (await execa(programPath("kuasar"), [...args, ...places()], { timeout: 60_000 })).stdout;
  const shim = () =>
    execa(join(prefix, "bin", "containerd-shim-kuasar-v2"), ["-v"], { timeout: 10_000, reject: false });

  it("puts programs that run in PREFIX/bin and a unit for each sandboxer, and says what config.toml needs", async () => {
    const said = await kuasar("install");
    assert.equal((await shim()).exitCode, 0);
    const sandboxer = await execa(join(prefix, "bin", "runc-sandboxer"), ["--help"], { timeout: 10_000 });
    assert.include(sandboxer.stdout, "--listen");
    assert.deepEqual(
      readdirSync(join(prefix, "units")).sort(),
      ["runc", "vmm", "wasm"].map((kind) => `kuasar-${kind}.service`),
    );
    assert.include(said, "containerd.runtimes.kuasar]");
    assert.include(said, "containerd.runtimes.kuasar-vmm]");
    assert.deepEqual(readdirSync(join(prefix, "lib", "kuasar", "guest")).sort(), ["initrd.img", "modules", "vmlinux"]);
  });

  it("has the installed vmm sandboxer find what its machines are to boot", async () => {
    await kuasar("install");
    const sandboxer = new SandboxerProcess({
      program: join(prefix, "bin", "vmm-sandboxer"),
      socket: join(prefix, "vmm.sock"),
      directory: join(prefix, "vmm"),
      logFile: join(prefix, "vmm.log"),
    });
    // It ends at once where there is nothing to boot.
    await sandboxer.start();
    await sandboxer.kill("SIGTERM");
  });

  it("leaves out the vmm sandboxer on a node without QEMU, and says what is missing", async () => {
    // The same machine's programs, but for that one.
    const script = `
      mkdir "$1/real" "$1/few"
      mount --bind /usr/bin "$1/real"
      cp -as "$1/real/." "$1/few"
      rm "$1/few/qemu-system-"*
      mount --bind "$1/few" /usr/bin
      shift
      exec "$@"`;
    const command = [programPath("kuasar"), "install", ...places()];
    const { stdout } = await execa("unshare", ["--mount", "sh", "-e", "-c", script, "sh", prefix, ...command], {
      timeout: 60_000,
    });
    assert.match(stdout, /the vmm sandboxer is left out: install qemu-system-\S+ \(package qemu-system-\S+\)/);
    assert.deepEqual(readdirSync(join(prefix, "units")).sort(), ["kuasar-runc.service", "kuasar-wasm.service"]);
    assert.notInclude(stdout, "kuasar-vmm]");
    assert.isFalse(existsSync(join(prefix, "lib", "kuasar", "guest")));
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
