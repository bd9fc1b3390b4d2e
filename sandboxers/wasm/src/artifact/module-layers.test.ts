import { rejects } from "@kuasar/framework/testing/rejects";
import { assert } from "chai";
import { layerNamed, moduleLayers } from "./module-layers.ts";

const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
const layer = (letter: string, mediaType: string, title?: string) => ({
  mediaType,
  digest: digest(letter),
  size: 1,
  ...(title && { annotations: { "org.opencontainers.image.title": title } }),
});
const index = { mediaType: "application/vnd.oci.image.index.v1+json", digest: digest("0"), size: 1 };
const manifest = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: digest("1"), size: 1 };

describe("the modules of an image", () => {
  const read = (documents: Readonly<Record<string, unknown>>) => ({
    read: async ({ digest: of }: { digest: string }) => Buffer.from(JSON.stringify(documents[of])),
  });
  const digestsOf = async (...args: Parameters<typeof moduleLayers>) =>
    (await moduleLayers(...args)).map(({ digest: of }) => of);

  it("are its layers of Wasm's media types", async () => {
    const layers = [
      layer("a", "application/vnd.oci.image.layer.v1.tar+gzip"),
      layer("b", "application/wasm"),
      layer("c", "application/vnd.wasm.content.layer.v1+wasm"),
    ];
    assert.deepEqual(await digestsOf(read({ [manifest.digest]: { layers } }), manifest), [digest("b"), digest("c")]);
  });

  it("are those of the platform for Wasm", async () => {
    const of = (letter: string, architecture: string) => ({
      ...layer(letter, manifest.mediaType),
      platform: { os: "any", architecture },
    });
    const store = read({
      [index.digest]: { manifests: [of("2", "amd64"), of("3", "wasm")] },
      [digest("3")]: { layers: [layer("b", "application/wasm")] },
    });
    assert.deepEqual(await digestsOf(store, index), [digest("b")]);
    assert.deepEqual(await digestsOf(read({ [index.digest]: { manifests: [of("2", "amd64")] } }), index), []);
  });

  it("are none in what is no manifest, or has digests of other kinds", async () => {
    for (const document of [null, [], { layers: {} }, { layers: [null, "x", { mediaType: "application/wasm" }] }]) {
      assert.deepEqual(await digestsOf(read({ [manifest.digest]: document }), manifest), []);
    }
    const odd = [
      { ...layer("b", "application/wasm"), digest: "sha256:../../etc/passwd" },
      { ...layer("b", "application/wasm"), size: -1 },
    ];
    assert.deepEqual(await digestsOf(read({ [manifest.digest]: { layers: odd } }), manifest), []);
    await rejects(moduleLayers({ read: async () => Buffer.from("{") }, manifest), 9, /JSON/);
  });

  it("are told apart by their titles", () => {
    const [only, other] = [
      layer("a", "application/wasm", "app.wasm"),
      layer("b", "application/wasm", "dir/b.wasm"),
    ].map((each) => ({ annotations: {}, ...each }));
    if (!only || !other) throw new Error("there are two");
    assert.equal(layerNamed([only], "/whatever.wasm"), only);
    assert.equal(layerNamed([only, other], "/b.wasm"), other);
    assert.isUndefined(layerNamed([], "/b.wasm"));
    assert.throws(() => layerNamed([only, other], "/c.wasm"), /expected one of app.wasm, dir\/b.wasm/);
  });
});
