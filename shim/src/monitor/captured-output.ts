import * as sys from "sys";
import { unwatch, watch } from "../platform/loop.ts";

const LIMIT = 64 * 1024;
const CHUNK = 4096;

/** A pipe whose contents are collected, up to 64 KiB; what comes after is read and dropped, so that nobody waits. */
export interface CapturedOutput {
  /** For the command; closed by whoever started it. */
  readonly input: number;
  /** All that has come until now. */
  take(): Uint8Array;
  close(): void;
}

export function captureOutput(): CapturedOutput {
  return new Capture();
}

class Capture implements CapturedOutput {
  readonly input: number;
  private output: number;
  private readonly chunks: Uint8Array[] = [];
  private size = 0;

  constructor() {
    [this.output, this.input] = sys.pipe();
    sys.setNonblocking(this.output, 1);
    watch(this.output, sys.EPOLLIN, () => this.read());
  }

  private read(): void {
    const chunk = new ArrayBuffer(CHUNK);
    while (this.output >= 0) {
      const got = sys.read(this.output, chunk, 0, CHUNK);
      if (got < 0) return;
      if (got === 0) {
        this.close();
        return;
      }
      const bytes = new Uint8Array(chunk.slice(0, Math.min(got, LIMIT - this.size)));
      this.size += bytes.length;
      if (bytes.length > 0) this.chunks.push(bytes);
    }
  }

  take(): Uint8Array {
    this.read();
    const all = new Uint8Array(this.size);
    let at = 0;
    for (const chunk of this.chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }

  close(): void {
    if (this.output < 0) return;
    unwatch(this.output);
    sys.close(this.output);
    this.output = -1;
  }
}
