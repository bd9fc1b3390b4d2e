import { constants, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ErrorCode, errorText, isCode } from "../error/sandbox-error.ts";
import type { Logger } from "../log/logger.ts";
import { sha256OfFile, sha256OfStream } from "./sha256-of-file.ts";

/** Files that take long to make, and that are the same for all that ask for them: kept, by names that say what they are. */
export interface SealedFiles {
  /** The room that there is, for all of them together. */
  readonly limitBytes: number;
  /** Removes what was being made when an earlier sandboxer was killed. */
  tidy(): void;
  /**
   * The path of the file of this name (which no path separator, and no dot first, may be in), made by `make` in a folder
   * of its own (it answers with the file's name there) unless it is there already. Who asks at the same time for the same
   * waits for the same, until `signal`. Until `release` is called the file stays where it is. Throws {@link NotMade} for
   * a file that there is no room for, or whose making has failed for somebody else.
   */
  obtain(name: string, make: (folder: string) => Promise<string>, signal?: AbortSignal): Promise<SealedFile>;
}

export interface SealedFile {
  readonly path: string;
  /** It did not have to be made for this. */
  readonly wasThere: boolean;
  release(): void;
}

/** A file that cannot be made here and now. */
export class NotMade extends Error {}

/** One that takes more than there is room for: it is not tried again. */
export class TooLarge extends NotMade {}

const SEAL = ".sha256";
const DRAFT = ".draft-";
const COPY_BYTES = 1 << 20;

/** Not every reason for which one container's file is not made is another's. */
function failureOfAnother(error: unknown): unknown {
  return isCode(error, ErrorCode.INVALID_ARGUMENT) ? error : new NotMade(errorText(error));
}

/**
 * Keeps at most `limitBytes`, the least recently used going first. The folder is root's alone. A file whose content is
 * not what its seal says, by accident or by somebody's doing, is made anew: checked when it is first used, and again
 * when it has changed on the disk since.
 */
export function createSealedFiles(folder: string, limitBytes: number, log: Logger): SealedFiles {
  const verified = new Map<string, string>();
  const making = new Map<string, Promise<void>>();
  const users = new Map<string, number>();
  /** Those that take more than there is room for; forgotten with this process. */
  const tooLarge = new Set<string>();
  let serial = 0;

  async function isSound(name: string): Promise<boolean> {
    const path = join(folder, name);
    const stamp = stampOf(path);
    if (stamp === undefined) {
      return false;
    }
    if (verified.get(name) === stamp) {
      return true;
    }
    try {
      const sealed = (await readFile(`${path}${SEAL}`, "utf8")).trim();
      if (sealed === (await sha256OfFile(path))) {
        verified.set(name, stamp);
        return true;
      }
    } catch (error) {
      log.debug({ file: path, err: errorText(error) }, "a file that is kept has no seal");
    }
    log.warn({ file: path }, "a file that is kept is not what was made, and is made anew");
    return false;
  }

  async function makeFile(name: string, make: (folder: string) => Promise<string>): Promise<void> {
    serial += 1;
    const draft = join(folder, `${DRAFT}${process.pid}-${serial}`);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    mkdirSync(draft, { mode: 0o711 });
    try {
      const made = join(draft, await make(draft));
      const seal = join(draft, "seal");
      // Nobody else has ever had a hand on what is kept: it is a copy of our own.
      const kept = join(draft, "kept");
      await writeFile(seal, `${await copyOf(made, kept)}\n`, { mode: 0o600 });
      const { size } = statSync(kept);
      if (size > limitBytes) {
        throw new TooLarge(`it would take ${size} bytes, and there is room for ${limitBytes}`);
      }
      makeRoom(size);
      const path = join(folder, name);
      rmSync(path, { recursive: true, force: true });
      renameSync(seal, `${path}${SEAL}`);
      renameSync(kept, path);
      verified.set(name, stampOf(path) ?? "");
    } catch (error) {
      if (error instanceof TooLarge) {
        tooLarge.add(name);
      }
      throw error;
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
  }

  function makeRoom(bytes: number): void {
    const files = readdirSync(folder)
      .filter((name) => !name.startsWith(".") && !name.endsWith(SEAL))
      .map((name) => ({ name, ...sizeAndUse(join(folder, name)) }))
      .sort((a, b) => a.usedMs - b.usedMs);
    let total = bytes + files.reduce((sum, { size }) => sum + size, 0);
    for (const { name, size } of files) {
      if (total <= limitBytes) {
        return;
      }
      if ((users.get(name) ?? 0) === 0) {
        rmSync(join(folder, name), { force: true });
        rmSync(join(folder, `${name}${SEAL}`), { force: true });
        verified.delete(name);
        total -= size;
      }
    }
  }

  return {
    limitBytes,
    tidy: () => removeDrafts(folder),

    async obtain(name, make, signal) {
      if (tooLarge.has(name)) {
        throw new NotMade("it would take more than there is room for");
      }
      const path = join(folder, name);
      users.set(name, (users.get(name) ?? 0) + 1);
      let used = true;
      const release = () => {
        const left = (users.get(name) ?? 0) - (used ? 1 : 0);
        used = false;
        if (left > 0) users.set(name, left);
        else users.delete(name);
      };
      try {
        let wasThere = true;
        while (making.has(name) || !(await isSound(name))) {
          wasThere = false;
          const others = making.get(name);
          if (others !== undefined) {
            await until(signal, others).catch((error: unknown) => Promise.reject(failureOfAnother(error)));
            continue;
          }
          const work = makeFile(name, make).finally(() => making.delete(name));
          making.set(name, work);
          await work;
        }
        const now = new Date();
        utimesSync(path, now, now);
        verified.set(name, stampOf(path) ?? "");
        return { path, wasThere, release };
      } catch (error) {
        release();
        throw error;
      }
    },
  };
}

/** Answers with the SHA-256 of what was copied. A symbolic link in the file's place is not followed. */
async function copyOf(from: string, to: string): Promise<string> {
  const source = await open(from, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (!(await source.stat()).isFile()) {
      throw new NotMade("what was made is not a file");
    }
    const copy = await open(to, "wx", 0o644);
    try {
      return await sha256OfStream(source.createReadStream({ autoClose: false, highWaterMark: COPY_BYTES }), (chunk) =>
        copy.writeFile(chunk),
      );
    } finally {
      await copy.close();
    }
  } finally {
    await source.close();
  }
}

/** The work goes on for others. */
async function until<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (signal === undefined) {
    return await work;
  }
  const aborted = new Promise<never>((_, reject) => {
    const abort = () => reject(new NotMade("its container is to go"));
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) {
      abort();
    }
  });
  return await Promise.race([work, aborted]);
}

function removeDrafts(folder: string): void {
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    if (name.startsWith(DRAFT)) {
      rmSync(join(folder, name), { recursive: true, force: true });
    }
  }
}

/** What changes whenever the file does. */
function stampOf(path: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat?.isFile() ? [stat.dev, stat.ino, stat.size, stat.ctimeNs].join(" ") : undefined;
}

function sizeAndUse(path: string): { size: number; usedMs: number } {
  const { size, mtimeMs } = statSync(path);
  return { size, usedMs: mtimeMs };
}
