import * as sys from "sys";

/** What a server begins with. */
export interface ServerBeginning {
  /** What it finds as sys.inheritance(). */
  readonly inheritance: string;
  /** The file descriptors that it needs. Here it has them all; one that must be executed would not. */
  readonly kept: readonly number[];
}

const READY = "ready";
const ANSWER_BYTES = 4096;

/**
 * Forks; the child calls `prepare` and becomes the program's server (sys.becomeServer). Answers with its pid when
 * `prepare` is done, and throws what that has thrown.
 */
export function startServer(prepare: () => ServerBeginning): number {
  const [output, input] = sys.pipe();
  const pid = sys.fork(0, -1);
  if (pid === 0) {
    sys.close(output);
    become(input, prepare);
  }
  sys.close(input);
  const answer = readAnswer(output);
  if (answer !== READY) throw new Error(answer || "the shim ended before it could serve");
  return pid;
}

function become(input: number, prepare: () => ServerBeginning): never {
  const say = (text: string) => {
    const bytes = sys.encodeUtf8(text);
    sys.write(input, bytes, 0, Math.min(bytes.byteLength, ANSWER_BYTES));
    sys.close(input);
  };
  let beginning: ServerBeginning;
  try {
    beginning = prepare();
  } catch (error) {
    say((error as Error).message);
    sys.exit(1);
  }
  say(READY);
  sys.becomeServer(beginning.inheritance);
}

function readAnswer(output: number): string {
  const buffer = new ArrayBuffer(ANSWER_BYTES);
  try {
    return sys.decodeUtf8(buffer, 0, sys.read(output, buffer, 0, ANSWER_BYTES));
  } finally {
    sys.close(output);
  }
}
