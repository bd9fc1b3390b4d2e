import * as sys from "sys";

/** Whole files and folders, as text. */

export function isMissing(error: unknown): boolean {
  return (error as sys.SysError).code === "ENOENT";
}

export function readText(path: string): string {
  const bytes = sys.readFile(path);
  return sys.decodeUtf8(bytes, 0, bytes.byteLength);
}

/** undefined where there is no such file. */
export function readTextIfThere(path: string): string | undefined {
  try {
    return readText(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function write(path: string, text: string, flags: number, mode: number): void {
  const bytes = sys.encodeUtf8(text);
  // The native call refuses an empty buffer, which truncating does not need.
  if (bytes.byteLength === 0) sys.close(sys.open(path, flags | sys.O_WRONLY, mode));
  else sys.writeFile(path, bytes, 0, bytes.byteLength, flags, mode);
}

/** Whoever reads the path sees the old contents or the new, never a part; a link in its place is not followed. */
export function writeTextAtomically(path: string, text: string, mode = 0o600): void {
  const slash = path.lastIndexOf("/");
  // As containerd names its own temporary files; the folder is root's, so that nobody else can be there first.
  const temporary = `${path.slice(0, slash + 1)}.${path.slice(slash + 1)}.${sys.getpid()}`;
  try {
    write(temporary, text, sys.O_CREAT | sys.O_TRUNC | sys.O_NOFOLLOW, mode);
    sys.rename(temporary, path);
  } catch (error) {
    removeIfThere(temporary);
    throw error;
  }
}

/** For files of the kernel (/proc, /sys/fs/cgroup), which are there and take one write. */
export function writeKernelFile(path: string, text: string): void {
  write(path, text, 0, 0);
}

export function removeIfThere(path: string): void {
  try {
    sys.unlink(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

export function makeFolders(path: string, mode: number): void {
  const parts = path.split("/");
  for (let i = 2; i <= parts.length; i++) {
    try {
      sys.mkdir(parts.slice(0, i).join("/"), mode);
    } catch (error) {
      if ((error as sys.SysError).code !== "EEXIST") throw error;
    }
  }
}

/** The program's path, looked for as execvp does; undefined where there is none. */
export function findProgram(name: string, env: readonly string[] = sys.environ()): string | undefined {
  if (name.includes("/")) return name;
  const path =
    env.find((entry) => entry.startsWith("PATH="))?.slice(5) ||
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (const folder of path.split(":")) {
    const candidate = `${folder || "."}/${name}`;
    const found = sys.stat(candidate);
    if (found && (found.mode & 0o170000) === 0o100000 && (found.mode & 0o111) !== 0) return candidate;
  }
  return undefined;
}
