/**
 * What crun says, in runc's words where clients look for those: Docker and nerdctl tell by them a program that is not
 * there (127) from one that cannot be run (126), and the kernel's errors are Go's texts, which begin with a small letter.
 */
export function inRuncWords(message: string): string {
  return (
    message
      .replace(/executable file `(.*)` not found in \$PATH(: No such file or directory)?/, (_, program) =>
        // runc looks in $PATH for a name, and at its place for a path.
        `${program}`.includes("/")
          ? `exec: "${program}": stat ${program}: no such file or directory`
          : `exec: "${program}": executable file not found in $PATH`,
      )
      .replace(/open executable: Invalid argument/, "args must not be empty")
      // The kernel has had nothing to do with it.
      .replace(/(Required field '.*' not present): .*/, "$1")
      .replace(/open executable: Operation not permitted/, "exec: permission denied")
      .replace(/: ([A-Z])([a-z ]+)$/, (_, first: string, rest: string) => `: ${first.toLowerCase()}${rest}`)
  );
}
