import { createHash } from "node:crypto";
import { type TarEntry, tarArchive } from "./tar-archive.ts";

export interface OciImage {
  /** Full reference, such as "docker.io/library/busybox:kuasar". */
  readonly reference: string;
  readonly rootfs: readonly TarEntry[];
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  readonly env?: readonly string[];
  /** Modules that are layers by themselves, by their names: then it is a Wasm artifact, and `rootfs` may be empty. */
  readonly modules?: Readonly<Record<string, Buffer>>;
  /** Has the config of CNCF's Wasm artifacts, without an entrypoint, in place of an image's. */
  readonly artifactConfig?: boolean;
}

const architectures: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64", arm: "arm", ia32: "386" };

/**
 * An image as an OCI image layout (opencontainers/image-spec, image-layout.md) in a tar file, for `ctr image import`.
 * The layer is not compressed: it is unpacked on the machine it was made on.
 */
export function ociImageArchive(image: OciImage): Buffer {
  const blobs = new Map<string, Buffer>();
  const addBlob = (mediaType: string, content: Buffer) => {
    const hex = createHash("sha256").update(content).digest("hex");
    blobs.set(hex, content);
    return { mediaType, digest: `sha256:${hex}`, size: content.length };
  };
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));

  const archives = image.rootfs.length > 0 || !image.modules ? [tarArchive(image.rootfs)] : [];
  const files = archives.map((archive) => addBlob("application/vnd.oci.image.layer.v1.tar", archive));
  const modules = Object.entries(image.modules ?? {}).map(([title, content]) => ({
    ...addBlob("application/wasm", content),
    annotations: { "org.opencontainers.image.title": title },
  }));
  const platform = image.modules
    ? { architecture: "wasm", os: "wasip1" }
    : { architecture: architectures[process.arch] ?? process.arch, os: "linux" };
  const config = image.artifactConfig
    ? addBlob(
        "application/vnd.wasm.config.v0+json",
        json({ ...platform, created: "2024-01-01T00:00:00Z", layerDigests: modules.map(({ digest }) => digest) }),
      )
    : addBlob(
        "application/vnd.oci.image.config.v1+json",
        json({
          ...platform,
          config: { Entrypoint: image.entrypoint, Cmd: image.cmd, Env: image.env },
          rootfs: { type: "layers", diff_ids: files.map(({ digest }) => digest) },
        }),
      );
  const manifestType = "application/vnd.oci.image.manifest.v1+json";
  const layers = [...files, ...modules];
  const manifest = addBlob(manifestType, json({ schemaVersion: 2, mediaType: manifestType, config, layers }));
  const index = {
    schemaVersion: 2,
    manifests: [{ ...manifest, annotations: { "io.containerd.image.name": image.reference } }],
  };

  const file = (path: string, content: Buffer): TarEntry => ({ path, type: "file", content });
  return tarArchive([
    file("oci-layout", json({ imageLayoutVersion: "1.0.0" })),
    file("index.json", json(index)),
    { path: "blobs", type: "directory" },
    { path: "blobs/sha256", type: "directory" },
    ...[...blobs].map(([hex, content]) => file(`blobs/sha256/${hex}`, content)),
  ]);
}
