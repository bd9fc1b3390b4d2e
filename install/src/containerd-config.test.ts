import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert } from "chai";
import { parse } from "smol-toml";
import { checkSocketPaths, containerdLayout, containerdToml } from "./containerd-config.ts";

describe("a private containerd's configuration", () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "kuasar-config-"));
  });

  afterEach(() => rmdirSync(directory));

  it("keeps everything below its own folder", () => {
    const layout = containerdLayout(directory);
    for (const path of Object.values(layout)) assert.isTrue(path.startsWith(directory), path);
  });

  it("hands a runtime's options on as they are", () => {
    const options = { sandboxer: "runc", socket: '/a "quoted" path' };
    const toml = containerdToml({
      layout: containerdLayout(directory),
      cniBinDir: "/cni",
      sandboxImage: "pause",
      runtimes: { some: { runtime_type: "io.containerd.kuasar.v2", options } },
      debug: false,
    });
    const config = parse(toml) as { plugins: Record<string, { containerd?: { runtimes: { some: unknown } } }> };
    const { some } = config.plugins["io.containerd.grpc.v1.cri"]?.containerd?.runtimes ?? {};
    assert.deepEqual(some, { runtime_type: "io.containerd.kuasar.v2", options });
  });

  it("is refused in a folder whose sockets could not be bound", () => {
    assert.throws(() => checkSocketPaths(containerdLayout(`/${"x".repeat(100)}`)), /within 107 bytes.* too long/);
  });
});
