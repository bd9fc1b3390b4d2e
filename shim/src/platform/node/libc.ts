import koffi from "koffi";

/**
 * The C library, called through koffi, whose package brings its binaries: nothing is compiled. Every pointer and
 * integer is a machine word, so one declaration does for all system calls.
 */

export type Word = bigint | Uint8Array;

const libc = koffi.load(null);
const syscall = libc.func("intptr_t syscall(intptr_t number, void *a, void *b, void *c, void *d, void *e, void *f)");
const posixSpawn = libc.func(
  "int posix_spawn(void *pid, const char *path, void *actions, void *attributes, const char **argv, const char **env)",
);
const initActions = libc.func("int posix_spawn_file_actions_init(void *actions)");
const addDup2 = libc.func("int posix_spawn_file_actions_adddup2(void *actions, int from, int to)");
const destroyActions = libc.func("int posix_spawn_file_actions_destroy(void *actions)");
const initAttributes = libc.func("int posix_spawnattr_init(void *attributes)");
const setFlags = libc.func("int posix_spawnattr_setflags(void *attributes, short flags)");
const setSignalMask = libc.func("int posix_spawnattr_setsigmask(void *attributes, void *signals)");
const setDefaultSignals = libc.func("int posix_spawnattr_setsigdefault(void *attributes, void *signals)");
const destroyAttributes = libc.func("int posix_spawnattr_destroy(void *attributes)");
const immediateExit = libc.func("void _exit(int status)");

type Six = [Word, Word, Word, Word, Word, Word];

function six(args: readonly Word[]): Six {
  return [args[0] ?? 0n, args[1] ?? 0n, args[2] ?? 0n, args[3] ?? 0n, args[4] ?? 0n, args[5] ?? 0n];
}

/** The result, or the negative error number, as the kernel itself has it. */
export function systemCall(number: number, args: readonly Word[]): number {
  const result = Number(syscall(number, ...six(args)));
  return result === -1 ? -koffi.errno() : result;
}

/** On a thread of its own, for a call that waits. -1 for any error: the number is that thread's. */
export function systemCallBeside(number: number, args: readonly Word[], done: (result: number) => void): void {
  syscall.async(number, ...six(args), (error: unknown, result: number) => done(error ? -1 : Number(result)));
}

/** Where the bytes are. Only while somebody holds on to them. */
export function addressOf(bytes: Uint8Array): bigint {
  return koffi.address(bytes);
}

const POSIX_SPAWN_SETSIGDEF = 4;
const POSIX_SPAWN_SETSIGMASK = 8;
/** More than the C libraries' own structures have (336 bytes in glibc's). */
const STRUCTURE_BYTES = 1024;
/** sigset_t */
const SIGNAL_SET_BYTES = 128;

/**
 * Starts a program that has the given file descriptors under their numbers, close-on-exec or not, blocks no signal and
 * ignores none. Answers with its pid, or the negative error number.
 */
export function spawn(path: string, argv: readonly string[], fds: Iterable<number>): number {
  const actions = Buffer.alloc(STRUCTURE_BYTES);
  const attributes = Buffer.alloc(STRUCTURE_BYTES);
  const pid = Buffer.alloc(4);
  initActions(actions);
  initAttributes(attributes);
  try {
    // Onto itself: what takes close-on-exec from a file descriptor in the child alone.
    for (const fd of fds) addDup2(actions, fd, fd);
    setFlags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    setSignalMask(attributes, Buffer.alloc(SIGNAL_SET_BYTES));
    setDefaultSignals(attributes, Buffer.alloc(SIGNAL_SET_BYTES, 0xff));
    const failed = posixSpawn(pid, path, actions, attributes, [...argv, null], [null]);
    return failed ? -failed : pid.readInt32LE();
  } finally {
    destroyActions(actions);
    destroyAttributes(attributes);
  }
}

/** At once: Node's own exit would wait for the thread that waits for events. */
export function exit(status: number): never {
  immediateExit(status);
  throw new Error("a process that has exited goes on");
}
