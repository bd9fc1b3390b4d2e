/** The native module of native/guest.c: what the first process of a virtual machine needs. A failed call throws a SysError. */
declare module "guest" {
  /** With parameters as the kernel takes them; "" for none. */
  export function loadModule(path: string, parameters: string): void;
  /** What is in a folder, but for names with a leading dot; undefined if it is not there. */
  export function namesIn(path: string): string[] | undefined;
  /** One rtnetlink request (with NLM_F_ACK) of so many bytes, and the kernel's answer. */
  export function netlink(request: ArrayBuffer, length: number): ArrayBuffer;
  /** How much the kernel keeps of what has been written to a pipe and not read. */
  export function setPipeSize(fd: number, bytes: number): void;
  /** As sys.read, again and again until there is nothing more, or no room. */
  export function readAll(fd: number, buffer: ArrayBuffer, offset: number, length: number): number;
  /** A symbolic link. */
  export function link(target: string, path: string): void;
  /** A file or an empty folder. */
  export function removePath(path: string): void;
  export function setClock(seconds: number, nanoseconds: number): void;
  /** A TCP connection to 127.0.0.1 or ::1 that is under way, non-blocking. */
  export function connectLocal(ipv6: boolean, port: number): number;
  export function listenVsock(port: number): number;
  /** A connection of the host's root; -1 when none waits. Others are closed. */
  export function acceptVsock(listener: number): number;
  /** Of the processor's time stamp counter; 0 where there is none. */
  export function measureTscKhz(): number;
  /** Of open files and processes, for containers whose spec has no limits of its own. */
  export function raiseLimits(): void;
  /** Reaps what becomes an orphan in this process's pid namespace, until it is killed. */
  export function holdPidNamespace(): never;
  export function powerOff(): void;
}
