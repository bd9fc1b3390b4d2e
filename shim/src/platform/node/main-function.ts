/** A program's bundle only says what its main function is; as shim/native/runtime.c does, its entry calls it. */
export function callMain(): void {
  (globalThis as unknown as { main(): void }).main();
}
