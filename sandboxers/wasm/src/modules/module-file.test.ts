import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert } from "chai";
import { openModule } from "./module-file.ts";

describe("a module's file", () => {
  let folder: string;
  let volume: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "kuasar-module-"));
    volume = join(folder, "volume");
    mkdirSync(join(volume, "apps"), { recursive: true });
    mkdirSync(join(folder, "host"));
    writeFileSync(join(volume, "apps", "app.wasm"), "the container's");
    writeFileSync(join(folder, "host", "app.wasm"), "the host's");
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const open = (name: string) => openModule(join(volume, name), name, "", volume);

  it("is the one that was opened, whatever takes its name afterwards", async () => {
    const file = open("apps/app.wasm");
    renameSync(join(volume, "apps"), join(volume, "old"));
    symlinkSync(join(folder, "host"), join(volume, "apps"));
    assert.equal(await readFile(file.path, "utf8"), "the container's");
    file.close();
  });

  it("is refused where its folder has become a link that leads out of the volume", () => {
    symlinkSync(join(folder, "host"), join(volume, "swapped"));
    assert.throws(() => open("swapped/app.wasm"), /module swapped\/app.wasm was moved while it was opened/);
    symlinkSync(join(folder, "host", "app.wasm"), join(volume, "link.wasm"));
    assert.throws(() => open("link.wasm"), /ELOOP/);
    assert.throws(() => open("nothing.wasm"), /no such file in the container/);
    assert.throws(() => open("apps"), /is not a file/);
  });
});
