import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";

/** The path of a program: itself if it is a path, else the first of that name in $PATH. Undefined if there is none. */
export function findProgram(name: string, path = process.env.PATH ?? ""): string | undefined {
  if (name.includes("/")) {
    return isAbsolute(name) && isExecutable(name) ? name : undefined;
  }
  for (const folder of path.split(delimiter)) {
    if (isAbsolute(folder) && isExecutable(join(folder, name))) {
      return join(folder, name);
    }
  }
  return undefined;
}

function isExecutable(path: string): boolean {
  try {
    // First what does not throw: in most of $PATH's folders there is nothing of that name.
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) {
      return false;
    }
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
