import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { failedPrecondition } from "@kuasar/framework/error/sandbox-error";

/** FAILED_PRECONDITION, with the config key that names it, if it is not there. */
export function requireFile(path: string, key: string): string {
  if (!existsSync(path))
    throw failedPrecondition(`${key} is ${path}, and there is no such file: run kuasar guest-image`);
  return path;
}

/**
 * Where `kuasar install` puts what machines boot: beside the releases (PREFIX/lib/kuasar/releases/NAME/lib/PROGRAM, the
 * bundle that this is) of which the program is in one. undefined for a program that was not installed.
 */
export function installedGuestFolder(program: string): string | undefined {
  const releases = dirname(dirname(dirname(join(program))));
  return basename(releases) === "releases" ? join(dirname(releases), "guest") : undefined;
}

/** The config's keys for what `kuasar guest-image` has written there. */
export const guestImageIn = (folder: string) => ({
  kernel_path: join(folder, "vmlinux"),
  initrd_path: join(folder, "initrd.img"),
});

/** Where `kuasar guest-image` puts the modules that a machine loads when it is asked to: an image of another make may have none. */
export const modulesBeside = (initrd: string) => join(dirname(initrd), "modules");
