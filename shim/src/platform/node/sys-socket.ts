import { constants } from "node:os";
import { attempt, bytesOf, call, callOn, Out, sysError } from "./kernel.ts";
import { addressOf } from "./libc.ts";

const { EADDRINUSE, EAGAIN, ECONNABORTED, EINPROGRESS, EINTR, EPROTOTYPE } = constants.errno;
const AF_UNIX = 1;
const AF_VSOCK = 40;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_PEERCRED = 17;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
/** sockaddr_un.sun_path */
const PATH_BYTES = 108;

function unixAddress(path: string): Uint8Array {
  const name = bytesOf(path);
  if (name.length > PATH_BYTES) {
    throw new RangeError(`the socket path ${path} has ${name.length - 1} bytes, ${PATH_BYTES - 1} at most`);
  }
  return Buffer.concat([new Uint8Array(Uint16Array.of(AF_UNIX).buffer), name]);
}

function withSocket(use: (fd: number) => void, type = SOCK_STREAM, family = AF_UNIX): number {
  const fd = call("socket", family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  try {
    use(fd);
    return fd;
  } catch (error) {
    call("close", fd);
    throw error;
  }
}

export function listen(path: string, backlog: number): number {
  const address = unixAddress(path);
  return withSocket((fd) => {
    const mask = call("umask", 0o177);
    try {
      callOn(path, "bind", fd, address, address.length);
    } finally {
      call("umask", mask);
    }
    callOn(path, "listen", fd, backlog);
  });
}

export function accept(fd: number): number {
  const connection = attempt("accept4", fd, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (connection >= 0) return connection;
  if ([EAGAIN, ECONNABORTED, EINTR].includes(-connection)) return -1;
  throw sysError(-connection, "accept");
}

export function connect(path: string): number {
  const address = unixAddress(path);
  return withSocket((fd) => callOn(path, "connect", fd, address, address.length));
}

export function probe(path: string): void {
  const address = unixAddress(path);
  const answer = (fd: number) => {
    const result = attempt("connect", fd, address, address.length);
    if (result < 0 && result !== -EPROTOTYPE) throw sysError(-result, "connect", path);
  };
  call("close", withSocket(answer, SOCK_DGRAM));
}

export function peerUid(fd: number): number {
  // struct ucred: pid, uid, gid.
  const credentials = new Uint32Array(3);
  const size = Uint32Array.of(credentials.byteLength);
  const out = new Out(new Uint8Array(credentials.buffer));
  callOn("SO_PEERCRED", "getsockopt", fd, SOL_SOCKET, SO_PEERCRED, out, new Uint8Array(size.buffer));
  return credentials[1] as number;
}

const DATA_BYTES = 4096;
const CONTROL_BYTES = 256;
/** struct cmsghdr: a length of eight bytes, level, type. */
const CONTROL_HEADER_BYTES = 16;

export function receiveFd(fd: number): number {
  const data = Buffer.alloc(DATA_BYTES);
  const control = Buffer.alloc(CONTROL_BYTES);
  const vector = new BigUint64Array([addressOf(data), BigInt(DATA_BYTES)]);
  const vectorBytes = new Uint8Array(vector.buffer);
  // struct msghdr: name, its length, iov, their count, control, its length, flags.
  const message = new BigUint64Array([
    0n,
    0n,
    addressOf(vectorBytes),
    1n,
    addressOf(control),
    BigInt(CONTROL_BYTES),
    0n,
  ]);
  const got = attempt("recvmsg", fd, new Uint8Array(message.buffer), MSG_CMSG_CLOEXEC);
  if (got === -EAGAIN) return -1;
  if (got < 0) throw sysError(-got, "recvmsg");
  const [received, ...others] = descriptors(control.subarray(0, Number(message[5])));
  for (const other of others) call("close", other);
  if (received === undefined) throw new TypeError("a message without a file descriptor");
  return received;
}

function descriptors(control: Buffer): number[] {
  const found: number[] = [];
  for (let at = 0; at + CONTROL_HEADER_BYTES <= control.length; ) {
    const length = Number(control.readBigUInt64LE(at));
    if (length < CONTROL_HEADER_BYTES || at + length > control.length) break;
    if (control.readInt32LE(at + 8) === SOL_SOCKET && control.readInt32LE(at + 12) === SCM_RIGHTS) {
      for (let fd = at + CONTROL_HEADER_BYTES; fd + 4 <= at + length; fd += 4) found.push(control.readInt32LE(fd));
    }
    at += length + (-length & 7);
  }
  return found;
}

/** vm_sockets.h: of 1,024 ports only root has the use. */
const LAST_RESERVED_PORT = 1023;
const RESERVED_FROM = 512;
const CID_ANY = 0xffff_ffff;

/** struct sockaddr_vm: family, padding, port, cid, four bytes. */
function vsockAddress(cid: number, port: number): Uint8Array {
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_VSOCK, 0);
  address.writeUInt32LE(port >>> 0, 4);
  address.writeUInt32LE(cid >>> 0, 8);
  return address;
}

export function connectVsock(cid: number, port: number): number {
  return withSocket(
    (fd) => {
      let result = -EADDRINUSE;
      for (let own = LAST_RESERVED_PORT; result === -EADDRINUSE && own >= RESERVED_FROM; own--) {
        const address = vsockAddress(CID_ANY, own);
        result = attempt("bind", fd, address, address.length);
      }
      if (result < 0) throw sysError(-result, "bind", "vsock");
      const other = vsockAddress(cid, port);
      const connected = attempt("connect", fd, other, other.length);
      if (connected < 0 && connected !== -EINPROGRESS) throw sysError(-connected, "connect", "vsock");
    },
    SOCK_STREAM,
    AF_VSOCK,
  );
}

export function socketError(fd: number): number {
  const error = new Int32Array(1);
  const size = Uint32Array.of(error.byteLength);
  const out = new Out(new Uint8Array(error.buffer));
  callOn("SO_ERROR", "getsockopt", fd, SOL_SOCKET, SO_ERROR, out, new Uint8Array(size.buffer));
  return error[0] as number;
}
