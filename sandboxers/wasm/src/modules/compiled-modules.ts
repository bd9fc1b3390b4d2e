import { mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errorText } from "@kuasar/framework/error/sandbox-error";
import type { Logger } from "@kuasar/framework/log/logger";
import { openModule } from "./module-file.ts";
import { sha256OfFile } from "./sha256-of-file.ts";

/** Modules that were compiled ahead of time, one file for each module, engine and engine version. */
export interface CompiledModules {
  /**
   * The path of the compiled module, made by `compile` in a folder of its own (it answers with the file's name there)
   * unless it is there already. Who asks at the same time for the same waits for the same. Until `release` is called
   * the file stays where it is.
   */
  obtain(key: ModuleKey, compile: (folder: string) => Promise<string>): Promise<CompiledModule>;
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

/**
 * Keeps at most `limitBytes`, the least recently used going first. The folder is root's alone. A file whose content is
 * not what its seal says, by accident or by somebody's doing, is made anew: checked when it is first used, and again
 * when it has changed on the disk since.
 */
export function createCompiledModules(folder: string, limitBytes: number, log: Logger): CompiledModules {
  const verified = new Map<string, string>();
  const making = new Map<string, Promise<void>>();
  const users = new Map<string, number>();
  let serial = 0;
  let isPrepared = false;

  // Not before it is needed: a sandboxer that is refused its folder must not have touched it.
  function prepare(): void {
    if (!isPrepared) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      removeDrafts(folder);
      isPrepared = true;
    }
  }

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
      makeRoom(statSync(kept).size);
      const path = join(folder, name);
      rmSync(path, { force: true });
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
    async obtain({ digest, engine, version }, compile) {
      prepare();
      const name = `${digest}-${engine}-${version}`;
      const path = join(folder, name);
      users.set(name, (users.get(name) ?? 0) + 1);
      const release = () => void users.set(name, Math.max(0, (users.get(name) ?? 0) - 1));
      try {
        let wasThere = true;
        while (making.has(name) || !(await isSound(name))) {
          wasThere = false;
          let work = making.get(name);
          if (work === undefined) {
            work = make(name, compile).finally(() => making.delete(name));
            making.set(name, work);
          }
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

function removeDrafts(folder: string): void {
  for (const name of readdirSync(folder)) {
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
