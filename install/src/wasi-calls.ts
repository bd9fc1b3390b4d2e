import { type Code, call, drop, exit, i32, i64, load, store, storeLong, when } from "./wasm-binary.ts";

/**
 * Calls of WASI preview 1 as programs made of instructions make them. They use the first kilobyte of memory for
 * themselves, but for what is named here.
 */
const [IOVEC, STATUS, SUBSCRIPTION, EVENT] = [0, 20, 512, 576];
/** Where a call leaves a number that it answers with, and `openFile` the new descriptor. */
export const [RESULT, FD] = [16, 24];
/** Where programs keep a text, such as the name of a file. */
export const TEXT = 64;

export const [STDIN, STDOUT] = [0, 1];
const ROOT = 3;
export const CREATE = 1;
const ALL_RIGHTS = 0x1fffffffn;
/** In a subscription to a clock: which one, and how many nanoseconds to wait. */
const [CLOCK, TIMEOUT, MONOTONIC] = [16, 24, 1];

export const write = (fd: Code, at: Code, length: Code): Code => [
  store(IOVEC, at),
  store(IOVEC + 4, length),
  drop(call("fd_write", fd, i32(IOVEC), i32(1), i32(RESULT))),
];

export const read = (fd: Code, at: number, length: number): Code => [
  store(IOVEC, i32(at)),
  store(IOVEC + 4, i32(length)),
  drop(call("fd_read", fd, i32(IOVEC), i32(1), i32(RESULT))),
];

/** Prints the text that is kept, so many bytes of it. */
export const say = (length: number): Code => write(i32(STDOUT), i32(TEXT), i32(length));

/** Opens the file whose name is the text that is kept, below the root folder; ends with the error's number if it cannot. */
export const openFile = (nameLength: number, flags: number): Code => [
  store(
    STATUS,
    call(
      "path_open",
      ...[i32(ROOT), i32(0), i32(TEXT), i32(nameLength), i32(flags), i64(ALL_RIGHTS), i64(0n), i32(0), i32(FD)],
    ),
  ),
  when(load(STATUS), exit(load(STATUS))),
];

/** Takes no processor time. */
export const sleep = (nanoseconds: Code): Code => [
  store(SUBSCRIPTION + CLOCK, i32(MONOTONIC)),
  storeLong(SUBSCRIPTION + TIMEOUT, nanoseconds),
  drop(call("poll_oneoff", i32(SUBSCRIPTION), i32(EVENT), i32(1), i32(RESULT))),
];
