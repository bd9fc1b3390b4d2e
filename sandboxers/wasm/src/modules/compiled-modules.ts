import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ErrorCode, errorText, isCode } from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import { openModule } from "./module-file.ts";
import { NotCompiled } from "./not-compiled.ts";
import { sha256OfFile } from "./sha256-of-file.ts";

/** Modules that were compiled ahead of time, one file for each module, engine and engine version. */
export interface CompiledModules {
  /** Removes what was being compiled when an earlier sandboxer was killed. */
  tidy(): void;
  /**
   * The path of the compiled module, made by `compile` in a folder of its own (it answers with the file's name there)
   * unless it is there already. Who asks at the same time for the same waits for the same, until `signal`. Until
   * `release` is called the file stays where it is. Throws {@link NotCompiled} for a module that there is no room for,
   * or whose compiling has failed for somebody else.
   */
  obtain(key: ModuleKey, compile: (folder: string) => Promise<string>, signal?: AbortSignal): Promise<CompiledModule>;
}

export interface ModuleKey {
  /** SHA-256 of the module, in hex. */
  readonly digest: string;
  readonly engine: string;
  readonly version: string;
}

export interface CompiledModule {
  readonly path: string;
  /** It did not have to be compiled for this. */
  readonly wasThere: boolean;
  release(): void;
}

const SEAL = ".sha256";
const DRAFT = ".draft-";

/** Not every reason for which one container's module is not compiled is another's. */
function failureOfAnother(error: unknown): unknown {
  return isCode(error, ErrorCode.INVALID_ARGUMENT) ? error : new NotCompiled(errorText(error));
}

/**
 * Keeps at most `limitBytes`, the least recently used going first. The folder is root's alone. A file whose content is
 * not what its seal says, by accident or by somebody's doing, is made anew: checked when it is first used, and again
 * when it has changed on the disk since.
 */
export function createCompiledModules(folder: string, limitBytes: number, log: Logger): CompiledModules {
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
      log.debug({ module: name, err: errorText(error) }, "a compiled module has no seal");
    }
    log.warn({ module: name }, "a compiled module is not what was compiled, and is made anew");
    return false;
  }

  async function make(name: string, compile: (folder: string) => Promise<string>): Promise<void> {
    serial += 1;
    const draft = join(folder, `${DRAFT}${process.pid}-${serial}`);
    mkdirSync(draft, { mode: 0o711 });
    try {
      const made = join(draft, await compile(draft));
      const seal = join(draft, "seal");
      // Nobody else has ever had a hand on what is kept: it is a copy of our own.
      const kept = join(draft, "kept");
      const file = await openModule(made, "compiled ahead of time", "");
      try {
        await writeFile(seal, `${await file.copyTo(kept)}\n`, { mode: 0o600 });
      } finally {
        await file.close();
      }
      const { size } = statSync(kept);
      if (size > limitBytes) {
        tooLarge.add(name);
        throw new NotCompiled(`it would take ${size} bytes, and there is room for ${limitBytes}`);
      }
      makeRoom(size);
      const path = join(folder, name);
      rmSync(path, { recursive: true, force: true });
      renameSync(seal, `${path}${SEAL}`);
      renameSync(kept, path);
      verified.set(name, stampOf(path) ?? "");
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
    tidy: () => removeDrafts(folder),

    async obtain({ digest, engine, version }, compile, signal) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const name = `${digest}-${engine}-${version}`;
      if (tooLarge.has(name)) {
        throw new NotCompiled("compiled, it would take more than there is room for");
      }
      const path = join(folder, name);
      users.set(name, (users.get(name) ?? 0) + 1);
      const release = () => void users.set(name, Math.max(0, (users.get(name) ?? 0) - 1));
      try {
        let wasThere = true;
        while (making.has(name) || !(await isSound(name))) {
          wasThere = false;
          const others = making.get(name);
          if (others !== undefined) {
            await until(signal, others).catch((error: unknown) => Promise.reject(failureOfAnother(error)));
            continue;
          }
          const work = make(name, compile).finally(() => making.delete(name));
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

/** The work goes on for others. */
async function until<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (signal === undefined) {
    return await work;
  }
  const aborted = new Promise<never>((_, reject) => {
    const abort = () => reject(new NotCompiled("its container is to go"));
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
