/** A program's bundle only says what its main function is; as shim/native/runtime.c does, its entry calls it. */
export function callMain(): void {
  if (process.platform !== "linux" || process.arch !== "x64") {
    // The numbers of system calls (kernel.ts) and the program of a child (child-program.ts) are those of x86-64.
    process.stderr.write(`the shim on Node: expected linux on x64, got ${process.platform} on ${process.arch}\n`);
    process.exit(1);
  }
  (globalThis as unknown as { main(): void }).main();
}
