import { posix } from "node:path";
import type { ContentStore } from "@kuasar/framework/containerd/content-store";
import { type Descriptor, readDescriptors } from "@kuasar/framework/containerd/descriptor";
import { errorText, failedPrecondition, invalidArgument } from "@kuasar/framework/error/sandbox-error";
import { quote } from "@kuasar/framework/identifier/identifier";
import { isJsonObject, type JsonObject } from "@kuasar/framework/store/json";

const INDEXES = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];
const TITLE = "org.opencontainers.image.title";
/** In an error's text. */
const TITLES_MAX = 10;
const DOCUMENT_MAX_BYTES = 4 * 1024 * 1024;

/**
 * The layers of an image that are modules themselves and not archives of files, by their media types: `application/wasm`
 * (https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/), or one of runwasi's, which end with `+wasm`.
 * Of an image for several platforms, those of the one for Wasm.
 */
export async function moduleLayers(
  store: Pick<ContentStore, "read">,
  target: Pick<Descriptor, "mediaType" | "digest" | "size">,
): Promise<Descriptor[]> {
  let document = await readJson(store, target);
  if (INDEXES.includes(target.mediaType)) {
    const manifests = readDescriptors(document.manifests);
    const manifest =
      manifests.find(({ platform }) => platform?.architecture === "wasm") ?? manifests.find(hasNoPlatform);
    if (manifest === undefined) {
      return [];
    }
    document = await readJson(store, manifest);
  }
  return readDescriptors(document.layers).filter(
    ({ mediaType }) => mediaType === "application/wasm" || mediaType.endsWith("+wasm"),
  );
}

function hasNoPlatform({ platform }: Descriptor): boolean {
  return platform === undefined;
}

/** The one that a container's argument names: by its title, if there are several. INVALID_ARGUMENT if it names none. */
export function layerNamed(layers: readonly Descriptor[], name: string): Descriptor | undefined {
  const title = posix.basename(name);
  const titled = layers.find(({ annotations }) => posix.basename(annotations[TITLE] ?? "") === title);
  if (titled !== undefined || layers.length <= 1) {
    return titled ?? layers[0];
  }
  const titles = layers
    .slice(0, TITLES_MAX)
    .map(({ annotations, digest }) => (annotations[TITLE] ?? digest).slice(0, 100));
  throw invalidArgument(`module ${quote(name)}: the image has several modules, expected one of ${titles.join(", ")}`);
}

async function readJson(
  store: Pick<ContentStore, "read">,
  blob: Pick<Descriptor, "digest" | "size">,
): Promise<JsonObject> {
  let json: unknown;
  try {
    json = JSON.parse((await store.read(blob, DOCUMENT_MAX_BYTES)).toString("utf8"));
  } catch (error) {
    throw error instanceof SyntaxError ? failedPrecondition(`content ${blob.digest}: ${errorText(error)}`) : error;
  }
  return isJsonObject(json) ? json : {};
}
