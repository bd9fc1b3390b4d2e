import * as sys from "sys";

/** Descriptors that a driver finds its pipes at (runtime/v2/logging: stdout, stderr, and one that it closes when ready). */
const DRIVER_FDS = [3, 4, 5] as const;

/** Gives a log driver nothing else but its pipes. */
export function placeDriverEnds(ends: readonly number[]): void {
  const nowhere = sys.open("/dev/null", sys.O_RDWR, 0);
  // Out of the way of the numbers that they shall have; what is left over closes with the exec.
  const moved = ends.map((fd) => {
    let high = fd;
    while (high <= DRIVER_FDS[2]) high = sys.duplicate(high);
    return high;
  });
  for (const fd of [0, 1, 2]) sys.dup2(nowhere, fd);
  moved.forEach((fd, index) => void sys.dup2(fd, DRIVER_FDS[index] as number));
}
