import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { ErrorCode, failedPrecondition, isCode } from "../error/sandbox-error.ts";
import type { Connection } from "./connection.ts";
import type { Descriptor } from "./descriptor.ts";

/** What containerd keeps of images, for one of its namespaces. Whatever is read is what its digest says. */
export interface ContentStore {
  /** The index or manifest of a container's image. Undefined if there is no such container, or image of it. */
  imageOf(containerId: string): Promise<Pick<Descriptor, "mediaType" | "digest" | "size"> | undefined>;
  /** FAILED_PRECONDITION for more bytes than `limit`. */
  read(blob: BlobRef, limit: number): Promise<Buffer>;
  /** Writes a new file, which must not be there. */
  copyTo(blob: BlobRef, path: string): Promise<void>;
}

/** By a containerd's gRPC socket and its namespace. */
export type ContentStores = (address: string, namespace: string) => ContentStore;

export type BlobRef = Pick<Descriptor, "digest" | "size">;

/**
 * Content stores of containerds. Contract: containerd's api/services, containers, images and content. All throw
 * UNAVAILABLE where containerd does not answer. gRPC is loaded when something is first asked for.
 */
export function createContentStores(): ContentStores {
  const connections = new Map<string, Promise<Connection>>();
  const connect = async (address: string) => (await import("./connection.ts")).connectContainerd(address);
  return (address, namespace) => {
    const connection = () => {
      const known = connections.get(address) ?? connect(address);
      connections.set(address, known);
      return known;
    };
    return contentStore(connection, address, namespace);
  };
}

function contentStore(connection: () => Promise<Connection>, address: string, namespace: string): ContentStore {
  /** At the end it throws FAILED_PRECONDITION unless the bytes are what the digest says. */
  async function* bytesOf({ digest, size }: BlobRef): AsyncGenerator<Uint8Array> {
    const hash = createHash("sha256");
    let total = 0;
    for await (const bytes of (await connection()).read(namespace, digest)) {
      total += bytes.length;
      if (total > size) {
        break;
      }
      hash.update(bytes);
      yield bytes;
    }
    if (total !== size || `sha256:${hash.digest("hex")}` !== digest) {
      throw failedPrecondition(`containerd at ${address}: content ${digest}: expected ${size} bytes of that digest`);
    }
  }

  return {
    async imageOf(containerId) {
      const { containers, images } = await connection();
      const what = `container ${containerId}`;
      try {
        const { container } = await containers(namespace, what).get({ id: containerId });
        if (!container?.image) {
          return undefined;
        }
        const { image } = await images(namespace, what).get({ name: container.image });
        const { mediaType = "", digest = "", size = 0 } = image?.target ?? {};
        return { mediaType, digest, size };
      } catch (error) {
        if (isCode(error, ErrorCode.NOT_FOUND)) {
          return undefined;
        }
        throw error;
      }
    },

    async read(blob, limit) {
      if (blob.size > limit) {
        throw failedPrecondition(`content ${blob.digest} has ${blob.size} bytes, expected ${limit} at most`);
      }
      const parts: Uint8Array[] = [];
      for await (const part of bytesOf(blob)) {
        parts.push(part);
      }
      return Buffer.concat(parts);
    },

    async copyTo(blob, path) {
      const file = await open(path, "wx", 0o644);
      try {
        for await (const part of bytesOf(blob)) {
          await file.writeFile(part);
        }
      } finally {
        await file.close();
      }
    },
  };
}
