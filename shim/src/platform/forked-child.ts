import * as sys from "sys";
import { unwatch, watch } from "./loop.ts";

/** clone() flags, from linux/sched.h. */
export const CLONE_PARENT = 0x00008000;
export const NAMESPACE_FLAGS: Readonly<Record<string, number>> = {
  mount: 0x00020000,
  cgroup: 0x02000000,
  uts: 0x04000000,
  ipc: 0x08000000,
  user: 0x10000000,
  pid: 0x20000000,
  network: 0x40000000,
};

/** A step that a child took before it became another program, and that failed. */
export class ChildError extends Error {}

/** What the child's code can say to its parent before the exec. */
export interface Report {
  /** The process that the parent shall know is another than the one that it forked. */
  pid(pid: number): void;
}

/**
 * Forks (with clone() flags, into the cgroup v2 folder of a fd) and runs `become` in the child, which must end in an exec. Answers with the child's pid
 * when the exec has happened; throws a {@link ChildError} with what failed when it has not. `started` is called with
 * the pid right after the fork, for what the parent must know or do before that.
 */
export function forkChild(
  { flags = 0, cgroup = -1 }: { readonly flags?: number; readonly cgroup?: number },
  become: (report: Report) => never,
  started: (pid: number) => void = () => {},
): Promise<number> {
  const [output, input] = sys.pipe();
  const pid = sys.fork(flags, cgroup);
  if (pid === 0) child(input, become);
  sys.close(input);
  started(pid);
  // The pipe closes at the exec: an end without a word is success.
  return readAll(output).then((text) => {
    let answered = pid;
    for (const line of text.split("\n")) {
      if (line.startsWith("pid ")) answered = Number(line.slice(4));
      else if (line !== "") throw new ChildError(line);
    }
    return answered;
  });
}

function child(output: number, become: (report: Report) => never): never {
  const say = (text: string) => {
    const bytes = sys.encodeUtf8(text);
    sys.write(output, bytes, 0, bytes.byteLength);
  };
  try {
    become({ pid: (pid) => say(`pid ${pid}\n`) });
  } catch (error) {
    say(`${String((error as Error).message).replaceAll("\n", " ")}\n`);
  }
  sys.exit(127);
}

const CHUNK = 4096;

function readAll(fd: number): Promise<string> {
  sys.setNonblocking(fd, 1);
  return new Promise((resolve, reject) => {
    const buffer = new ArrayBuffer(CHUNK);
    let text = "";
    const finish = (settle: () => void) => {
      unwatch(fd);
      sys.close(fd);
      settle();
    };
    watch(fd, sys.EPOLLIN, () => {
      try {
        for (;;) {
          const got = sys.read(fd, buffer, 0, CHUNK);
          if (got < 0) return;
          if (got === 0) return finish(() => resolve(text));
          text += sys.decodeUtf8(buffer, 0, got);
        }
      } catch (error) {
        finish(() => reject(error));
      }
    });
  });
}
