import * as sys from "sys";
import { ChildError, type Report } from "./child-terms.ts";
import { unwatch, watch } from "./loop.ts";

export { ChildError, CLONE_PARENT, NAMESPACE_FLAGS, type Report } from "./child-terms.ts";

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
  let pid = -1;
  let failure: unknown;
  try {
    pid = sys.fork(flags, cgroup);
    if (pid === 0) child(input, become);
    started(pid);
  } catch (error) {
    failure = error;
  }
  sys.close(input);
  // The pipe closes at the exec, or with a child that there is not: an end without a word is success.
  return readAll(output).then((text) => {
    if (failure !== undefined) throw new ChildError((failure as Error).message);
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
