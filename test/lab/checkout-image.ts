import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { cacheDirectory, userCacheDirectory, type VmParts } from "@kuasar/install/parts";
import { execa } from "execa";
import { makeDisk } from "./root-image.ts";

/** What git does not know of and the guest, which has no network, needs: what npm, the build and install/parts brought. */
const brought = ["node_modules", "dist", "proto/gen"];
/** What a user has compiled once for all checkouts. */
const compiled = "parts/wasmtime";

/** This checkout as it is now, as a disk. */
export async function checkoutImage(parts: VmParts, top: string, folder: string): Promise<string> {
  const disk = join(folder, "checkout");
  mkdirSync(join(top, ".cache"), { recursive: true });
  const tree = mkdtempSync(join(top, ".cache", "checkout-"));
  try {
    const listed = await execa("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: top });
    const files = listed.stdout.split("\0").filter((path) => path !== "" && existsSync(join(top, path)));
    await copyInto(tree, top, [...files, ...brought]);
    await copyInto(join(tree, ".cache"), cacheDirectory(), ["parts"]);
    // The guest could not compile it; what is tested there tells if it is not here.
    if (existsSync(join(userCacheDirectory(), compiled))) {
      await copyInto(join(tree, ".cache"), userCacheDirectory(), [compiled]);
    }
    rmSync(disk, { force: true });
    await makeDisk(parts, tree, disk);
  } finally {
    rmSync(tree, { recursive: true });
  }
  return disk;
}

/** Links the files where the file system can: there are many, and they are only read. */
async function copyInto(target: string, source: string, paths: readonly string[]): Promise<void> {
  mkdirSync(target, { recursive: true });
  const link = statSync(target).dev === statSync(source).dev ? ["--link"] : [];
  const args = ["--archive", ...link, "--parents", "--target-directory", target];
  for (let from = 0; from < paths.length; from += 1000) {
    await execa("cp", [...args, ...paths.slice(from, from + 1000)], { cwd: source });
  }
}

export const checkoutTop = (self: string): string => dirname(dirname(dirname(self)));
