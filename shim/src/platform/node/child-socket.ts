import { DATA_ADDRESS, DATA_BYTES, FRAME_BYTES } from "./child-program.ts";
import { NUMBERS, Out, ownKernel, type SystemCall, sysError } from "./kernel.ts";

const EINTR = 4;
const ECONNRESET = 104;
/** A message; the kernel takes more than three of these at once. */
const CHUNK = 64 * 1024;

/** Our end of the socket that a child's program (child-program.ts) reads system calls from, and answers them on. */
export class ChildSocket {
  private open = true;

  /** @param its the number of the child's own end */
  constructor(
    private readonly ours: number,
    readonly its: number,
  ) {}

  send(name: SystemCall, args: ReadonlyArray<number | bigint>): void {
    const frame = new BigInt64Array(FRAME_BYTES / 8);
    frame.set([NUMBERS[name], ...args].map(BigInt));
    this.write(new Uint8Array(frame.buffer));
  }

  /** A result, or the negative error number; undefined when the child has closed its end. */
  receive(): number | undefined {
    const result = new BigInt64Array(1);
    const got = this.own("read", new Out(new Uint8Array(result.buffer)), 8);
    return got === 8 ? Number(result[0]) : undefined;
  }

  answer(name: SystemCall): number {
    const result = this.receive();
    if (result === undefined) throw new Error(`the child has ended before it answered ${name}`);
    return result;
  }

  /** Puts bytes into the child's memory. */
  load(bytes: Uint8Array): void {
    if (bytes.length > DATA_BYTES) throw new RangeError(`expected at most ${DATA_BYTES} bytes, got ${bytes.length}`);
    for (let at = 0; at < bytes.length; at += CHUNK) {
      const chunk = bytes.slice(at, at + CHUNK);
      this.send("read", [this.its, DATA_ADDRESS + at, chunk.length]);
      this.write(chunk);
      this.answer("read");
    }
  }

  /** Takes bytes, fewer than 64 KiB, from the child's memory. */
  fetch(address: number, into: Uint8Array): void {
    this.send("write", [this.its, address, into.length]);
    this.own("read", new Out(into), into.length);
    this.answer("write");
  }

  close(): void {
    if (this.open) ownKernel.call("close", [this.ours]);
    this.open = false;
  }

  private write(bytes: Uint8Array): void {
    const put = this.own("write", bytes, bytes.length);
    if (put < 0) throw sysError(-put, "write", "to a child");
  }

  private own(name: "read" | "write", bytes: Uint8Array | Out, length: number): number {
    for (;;) {
      const result = ownKernel.call(name, [this.ours, bytes, length]);
      if (result === -ECONNRESET) return 0;
      if (result !== -EINTR) return result;
    }
  }
}
