import { lstatSync, readlinkSync } from "node:fs";
import { posix } from "node:path";
import { errno } from "@kuasar/framework/error/sandbox-error";
import type { OciMount } from "@kuasar/framework/oci/spec";

/** A path as the container will have it, with every symbolic link followed, and the host's file that it leads to. */
export interface ContainerPath {
  readonly inContainer: string;
  readonly onHost: string;
  /** What `onHost` is in, or is itself: the container's root, or the source of one of its mounts. */
  readonly base: string;
}

const LINKS_MAX = 40;

/**
 * Finds a file of a container that is not running yet. Symbolic links are the image's: they lead to where they would
 * within the container, and never out of it. Undefined if there is no such file.
 */
export function findInContainer(
  rootfs: string,
  mounts: readonly OciMount[],
  path: string,
  cwd = "/",
): ContainerPath | undefined {
  const sources = new Map(
    mounts
      .filter(
        ({ type, options }) => type === "bind" || options?.some((option) => option === "bind" || option === "rbind"),
      )
      .map(({ destination, source }) => [posix.resolve("/", destination), source ?? ""]),
  );
  const names = posix
    .resolve(cwd || "/", path)
    .split("/")
    .filter(Boolean);
  const root: ContainerPath = { inContainer: "/", onHost: rootfs, base: rootfs };
  let at = root;
  const above: ContainerPath[] = [];
  for (let links = 0; names.length > 0; ) {
    const name = names.shift() as string;
    if (name === "." || name === "") {
      continue;
    }
    if (name === "..") {
      at = above.pop() ?? at;
      continue;
    }
    const inContainer = posix.join(at.inContainer, name);
    const source = sources.get(inContainer);
    const next = { inContainer, onHost: source ?? posix.join(at.onHost, name), base: source ?? at.base };
    // What a mount is in is made, where the image does not have it.
    const isMade = () => [...sources.keys()].some((mounted) => mounted.startsWith(`${inContainer}/`));
    const target = linkTarget(next.onHost) ?? (isMade() ? "" : undefined);
    if (target === undefined) {
      return undefined;
    }
    if (target === "") {
      above.push(at);
      at = next;
      continue;
    }
    links += 1;
    if (links > LINKS_MAX) {
      return undefined;
    }
    names.unshift(...target.split("/"));
    if (target.startsWith("/")) {
      at = root;
      above.length = 0;
    }
  }
  return at;
}

/** "" if it is no link, undefined if it is not there. */
function linkTarget(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : "";
  } catch (error) {
    if (errno(error) === "ENOENT" || errno(error) === "ENOTDIR") {
      return undefined;
    }
    throw error;
  }
}
