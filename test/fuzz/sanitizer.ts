/** For programs built with sanitizers: a finding ends the process, its text goes where standard error does. */
export function sanitizerOptions(): NodeJS.ProcessEnv {
  if (!process.env.KUASAR_FUZZ_PROGRAMS) return {};
  return { ASAN_OPTIONS: "detect_leaks=0", UBSAN_OPTIONS: "halt_on_error=1:print_stacktrace=1" };
}
