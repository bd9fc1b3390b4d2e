/** The native module of shim/native: the system calls that JavaScript lacks. A failed call throws a {@link SysError}. */
declare module "sys" {
  export interface SysError extends Error {
    /** The error's number and its name, such as "ENOENT". */
    errno: number;
    code: string;
    syscall: string;
  }
  export interface Stat {
    mode: number;
    size: number;
    dev: number;
    ino: number;
    uid: number;
    gid: number;
    mtimeMs: number;
  }

  // Text
  /** Of the text's UTF-8, in hexadecimal. */
  export function sha256(text: string): string;
  export function encodeUtf8(text: string): ArrayBuffer;
  export function decodeUtf8(buffer: ArrayBuffer, offset: number, length: number): string;
  /** undefined for bytes that are not all ASCII. */
  export function decodeAscii(buffer: ArrayBuffer, offset: number, length: number): string | undefined;

  // Event loop
  export function openLoop(): void;
  export function watch(fd: number, events: number): void;
  /** fd, events, fd, events, ... */
  export function wait(timeoutMs: number): number[];
  export function runJobs(): void;
  /** Nothing has happened for a while: gives memory back that is not used. */
  export function rest(): void;
  export function monotonicMs(): number;
  export function realtime(): [seconds: number, nanoseconds: number];
  export function eventFd(): number;
  export function signalFd(signals: readonly number[]): number;
  export function readSignal(fd: number): number;
  export const EPOLLIN: number;
  export const EPOLLOUT: number;
  export const EPOLLHUP: number;
  export const EPOLLERR: number;
  export const EPOLLPRI: number;

  // Files
  export function open(path: string, flags: number, mode: number): number;
  export function close(fd: number): void;
  /** Bytes read, 0 at the end, -1 when nothing is there yet. */
  export function read(fd: number, buffer: ArrayBuffer, offset: number, length: number): number;
  /** Bytes written, -1 when none can be now. */
  export function write(fd: number, buffer: ArrayBuffer, offset: number, length: number): number;
  export function readFile(path: string): ArrayBuffer;
  export function writeFile(
    path: string,
    buffer: ArrayBuffer,
    offset: number,
    length: number,
    flags: number,
    mode: number,
  ): void;
  export function stat(path: string): Stat | null;
  export function mkdir(path: string, mode: number): void;
  export function makeFifo(path: string, mode: number): void;
  export function unlink(path: string): void;
  export function chdir(path: string): void;
  export function fchdir(fd: number): void;
  export function rename(from: string, to: string): void;
  export function getcwd(): string;
  export function dup2(from: number, to: number): void;
  export function duplicate(fd: number): number;
  export function pipe(): [read: number, write: number];
  export function setNonblocking(fd: number, on: number): void;
  export function fchown(fd: number, uid: number, gid: number): void;
  export function splice(from: number, to: number, length: number): number;
  /** How many bytes a FIFO or a pipe holds. */
  export function unread(fd: number): number;
  export function setWindowSize(fd: number, rows: number, columns: number): void;
  /** A new terminal: its master, and the side that a process gets. */
  export function openTerminal(): [master: number, slave: number];
  /** The terminal becomes that of this process's session. */
  export function takeTerminal(fd: number): void;

  export const O_RDONLY: number;
  export const O_WRONLY: number;
  export const O_RDWR: number;
  export const O_CREAT: number;
  export const O_EXCL: number;
  export const O_TRUNC: number;
  export const O_APPEND: number;
  export const O_NONBLOCK: number;
  export const O_NOFOLLOW: number;
  export const O_DIRECTORY: number;
  export const O_NOCTTY: number;

  // Sockets
  export function listen(path: string, backlog: number): number;
  export function accept(fd: number): number;
  export function connect(path: string): number;
  /** Throws ENOENT or ECONNREFUSED unless a process has the stream socket there; that one does not hear of it. */
  export function probe(path: string): void;
  export function peerUid(fd: number): number;
  export function receiveFd(fd: number): number;
  /** To a virtual machine, from a port that only root can have. It may not be made yet: see socketError. */
  export function connectVsock(cid: number, port: number): number;
  /** Once a connection that is being made can be written to: 0, or the number of the error that it has failed with. */
  export function socketError(fd: number): number;

  // Other network namespaces
  /**
   * Takes every TCP connection to an address of the network namespace's own, whatever its port (Linux 5.9): what to accept
   * from, and what to keep open meanwhile.
   */
  export function listenInNetwork(path: string): [listener: number, link: number];
  /** The port that a connection was made to. */
  export function localPort(fd: number): number;
  /** The other end of the connection reads to the end of what was written. */
  export function endOutput(fd: number): void;
  /** Closes it so that the other end sees an error, not an end. */
  export function resetConnection(fd: number): void;

  // Mounts
  /** A mount of a file or folder (with all below it, if recursive), in no namespace yet: a fd. Attributes are MOUNT_ATTR_..., propagation MS_PRIVATE or MS_SLAVE. */
  export function detachMount(path: string, set: number, clear: number, recursive: number, propagation: number): number;
  export function attachMount(fd: number, target: string): void;
  /** Whether what is open is a folder. */
  export function isFolder(fd: number): boolean;
  export function chroot(path: string): void;
  export function mount(source: string, target: string, type: string, flags: number, data: string): void;
  /** The path that `path` has where `root` is the root of all links on the way; nothing leads out of it. */
  export function resolveBelow(root: string, path: string): string;
  export function unmount(target: string, flags: number): void;
  export function pivotRoot(to: string, from: string): void;
  export const MNT_DETACH: number;
  export const UMOUNT_NOFOLLOW: number;

  // Processes
  /** clone() with CLONE_... flags, into a cgroup v2 folder (its fd, or -1): the child's pid, and 0 in the child. Not in a server. */
  export function fork(flags: number, cgroup: number): number;
  /**
   * As fork, in a server: the child begins with the command bundle's child(), and with nothing of this process's heap but
   * the text, its inheritance(), and the bytes, its inheritedBytes().
   */
  export function forkChild(flags: number, cgroup: number, text: string, bytes: ArrayBuffer): number;
  /** Begins the kernel's wait before processes can be moved between cgroups; the path is of an own cgroup.procs. */
  export function hastenCgroupMoves(path: string): void;
  export function exec(program: string | number, argv: readonly string[], env: readonly string[]): never;
  /** Starts a program (by a fd, or by its path where that is -1) in a process group of its own: its pid. */
  export function startCommand(
    program: number,
    path: string,
    argv: readonly string[],
    env: readonly string[],
    cwd: string,
    stdio: readonly number[],
  ): number;
  export function exit(status: number): never;
  export function waitChild(): [pid: number, status: number] | null;
  export function kill(pid: number, signal: number): void;
  export function pidfdOpen(pid: number): number;
  export function pidfdSignal(fd: number, signal: number): void;
  export function pidfdExitStatus(fd: number): number;
  export function getpid(): number;
  export function getppid(): number;
  export function getuid(): number;
  export function setsid(): void;
  export function prctl(option: number, argument: number): void;
  export function setns(fd: number, type: number): void;
  export function unshare(flags: number): void;
  export function setHostname(name: string): void;
  export function setDomainname(name: string): void;
  /** As setrlimit(2); -1 for no limit. */
  export function setLimit(resource: number, soft: number, hard: number): void;
  export function setUser(uid: number, gid: number, additionalGids: readonly number[]): void;
  export function limitBounding(capabilities: readonly number[]): void;
  export function setCapabilities(capabilities: readonly number[]): void;
  /** Instructions as seccomp(2) takes them, 8 bytes each; for the rest of this process's life. */
  export function setSeccomp(filter: ArrayBuffer): void;
  /** Closes every file descriptor from 3 on, but these. */
  export function keepOnly(fds: readonly number[]): void;
  /** Runs the program's other bundle, which begins with nothing of this one's memory but the text. */
  export function becomeServer(inheritance: string): never;
  export function inheritance(): string;
  export function inheritedBytes(): ArrayBuffer;
  export function environ(): string[];
  function programArguments(): string[];

  export { programArguments as arguments };
  export function dropLastArgument(): void;
}
