import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { cp, mkdir, rename, rm, symlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";

/** The folders of dist that belong together: a program in bin finds its bundle in lib beside it. */
const parts = ["bin", "lib"];

/** Programs of one build, in a folder of their own: a sandboxer that runs keeps its files while the next ones come. */
export interface Release {
  /** Of the files' contents, so that installing the same build twice changes nothing. */
  readonly name: string;
  /** Names of the programs. */
  readonly programs: readonly string[];
}

/** @param dist the folder with bin and lib that a build has made. */
export function releaseOf(dist: string): Release {
  const hash = createHash("sha256");
  for (const path of parts.flatMap((part) => filesBelow(join(dist, part)))) {
    hash.update(`${relative(dist, path)}\0`).update(readFileSync(path));
  }
  return { name: hash.digest("hex").slice(0, 16), programs: readdirSync(join(dist, "bin")).sort() };
}

/** Whole or not at all under its name: what an interrupted copy left is begun anew. */
export async function copyRelease(dist: string, target: string): Promise<void> {
  const unfinished = `${target}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true });
  for (const part of parts) await cp(join(dist, part), join(unfinished, part), { recursive: true });
  await rename(unfinished, target);
}

/** At no moment is there no link: containerd may start a shim at any time. */
export async function replaceLink(target: string, link: string): Promise<void> {
  const next = join(dirname(link), `.${process.pid}.link`);
  await rm(next, { force: true });
  await symlink(target, next);
  await rename(next, link);
}

function filesBelow(folder: string): string[] {
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" }).map((path) => join(folder, path));
  return paths.filter((path) => statSync(path).isFile()).sort();
}
