import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const REPORT = "sanitizer";

/** For programs built with sanitizers: a finding ends the process, which may be any child's; its text is a file in the folder. */
export function sanitizerOptions(folder: string): NodeJS.ProcessEnv {
  if (!process.env.KUASAR_FUZZ_PROGRAMS) return {};
  const common = `log_path=${join(folder, REPORT)}`;
  // What QuickJS still holds at an exit goes with the process; a large quarantine would look like a leak.
  return {
    ASAN_OPTIONS: `${common}:detect_leaks=0:quarantine_size_mb=4`,
    UBSAN_OPTIONS: `${common}:print_stacktrace=1`,
  };
}

/** What the sanitizers have found so far; empty when it is nothing. */
export function sanitizerReport(folder: string): string {
  const files = readdirSync(folder).filter((name) => name.startsWith(`${REPORT}.`));
  return files.map((name) => readFileSync(join(folder, name), "utf8")).join("\n");
}
