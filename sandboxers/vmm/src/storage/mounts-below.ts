/**
 * What is mounted below a folder and can be written to there, by paths relative to it.
 * @param mountinfo proc_pid_mountinfo(5)
 */
export function writableBelow(mountinfo: string, folder: string): string[] {
  const prefix = folder === "/" ? "/" : `${folder}/`;
  const writable = new Map<string, boolean>();
  for (const line of mountinfo.split("\n")) {
    const [, , , , escaped = "", options = ""] = line.split(" ");
    const point = escaped.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    // Of several at one place, the last is on top.
    if (point.startsWith(prefix) && point !== prefix) writable.set(point, options.split(",").includes("rw"));
  }
  return [...writable].flatMap(([point, isWritable]) => (isWritable ? [point.slice(prefix.length)] : []));
}
