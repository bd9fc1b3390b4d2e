import { constants } from "node:os";
import { sysError } from "./kernel.ts";

/** What virtual machines' port-forward takes is in the native shim alone: this one says that it has none of it. */
export function listenInNetwork(path: string): [number, number] {
  throw sysError(constants.errno.ENOSYS, "listenInNetwork", path);
}

export function localPort(_fd: number): number {
  throw sysError(constants.errno.ENOSYS, "localPort");
}

export function endOutput(_fd: number): void {
  throw sysError(constants.errno.ENOSYS, "endOutput");
}

export function resetConnection(_fd: number): void {
  throw sysError(constants.errno.ENOSYS, "resetConnection");
}
