/**
 * The program that a child of ours is until it becomes the one that it shall be. Node has threads and cannot fork; a
 * process that joins namespaces, gives up its rights or changes its root must have one thread, and take these steps
 * itself. This one takes whatever step it is told to: it makes system calls that it reads from a socket, for ever.
 */

/** Where the program's memory begins: a frame (a number and six arguments), the result, then whatever is loaded. */
export const FRAME_ADDRESS = 0x10000000;
export const FRAME_BYTES = 56;
export const DATA_ADDRESS = FRAME_ADDRESS + 4096;
export const DATA_BYTES = 4 * 1024 * 1024;

/** For `mov edi, SOCKET`. */
const SOCKET = Symbol("the socket's number");

const CODE: ReadonlyArray<readonly [instruction: string, ...bytes: Array<number | typeof SOCKET>]> = [
  ["      mov ebp, FRAME_ADDRESS", 0xbd, 0x00, 0x00, 0x00, 0x10],
  ["next: xor eax, eax            # read", 0x31, 0xc0],
  ["      mov edi, SOCKET", 0xbf, SOCKET],
  ["      mov esi, ebp", 0x89, 0xee],
  ["      mov edx, FRAME_BYTES", 0xba, 0x38, 0x00, 0x00, 0x00],
  ["      syscall", 0x0f, 0x05],
  ["      cmp eax, FRAME_BYTES", 0x83, 0xf8, 0x38],
  ["      jne end                 # nobody is at the other end any more", 0x75, 0x46],
  ["      mov rax, [rbp]", 0x48, 0x8b, 0x45, 0x00],
  ["      mov rdi, [rbp + 8]", 0x48, 0x8b, 0x7d, 0x08],
  ["      mov rsi, [rbp + 16]", 0x48, 0x8b, 0x75, 0x10],
  ["      mov rdx, [rbp + 24]", 0x48, 0x8b, 0x55, 0x18],
  ["      mov r10, [rbp + 32]", 0x4c, 0x8b, 0x55, 0x20],
  ["      mov r8, [rbp + 40]", 0x4c, 0x8b, 0x45, 0x28],
  ["      mov r9, [rbp + 48]", 0x4c, 0x8b, 0x4d, 0x30],
  ["      syscall", 0x0f, 0x05],
  ["      mov [rbp + 56], rax", 0x48, 0x89, 0x45, 0x38],
  ["      mov eax, 1              # write", 0xb8, 0x01, 0x00, 0x00, 0x00],
  ["      mov edi, SOCKET", 0xbf, SOCKET],
  ["      lea esi, [rbp + 56]", 0x8d, 0x75, 0x38],
  ["      mov edx, 8", 0xba, 0x08, 0x00, 0x00, 0x00],
  ["      syscall", 0x0f, 0x05],
  [
    "      cmp dword [rbp], 435    # clone3: whoever has made a child leaves the socket to it",
    0x81,
    0x7d,
    0x00,
    0xb3,
    0x01,
    0x00,
    0x00,
  ],
  ["      jne next", 0x75, 0xac],
  ["      cmp qword [rbp + 56], 0", 0x48, 0x83, 0x7d, 0x38, 0x00],
  ["      jle next", 0x7e, 0xa5],
  ["end:  mov eax, 231            # exit_group", 0xb8, 0xe7, 0x00, 0x00, 0x00],
  ["      xor edi, edi", 0x31, 0xff],
  ["      syscall", 0x0f, 0x05],
];

const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const PROGRAM_ADDRESS = 0x400000;
const ET_EXEC = 2;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_GNU_STACK = 0x6474e551;
const READ = 4;
const WRITE = 2;
const EXECUTE = 1;

/** The ELF file (System V ABI, "Object Files") of the program that listens to this file descriptor. */
export function childProgram(socket: number): Buffer {
  const code = Buffer.concat(CODE.map(([, ...bytes]) => Buffer.concat(bytes.map((byte) => encoded(byte, socket)))));
  const start = HEADER_BYTES + 3 * SEGMENT_BYTES;
  const header = Buffer.alloc(HEADER_BYTES);
  header.write("\x7fELF\x02\x01\x01", "latin1");
  header.writeUInt16LE(ET_EXEC, 16);
  header.writeUInt16LE(EM_X86_64, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(PROGRAM_ADDRESS + start), 24);
  header.writeBigUInt64LE(BigInt(HEADER_BYTES), 32);
  header.writeUInt16LE(HEADER_BYTES, 52);
  header.writeUInt16LE(SEGMENT_BYTES, 54);
  header.writeUInt16LE(3, 56);
  return Buffer.concat([
    header,
    segment(PT_LOAD, READ | EXECUTE, PROGRAM_ADDRESS, start + code.length, start + code.length),
    segment(PT_LOAD, READ | WRITE, FRAME_ADDRESS, 0, DATA_ADDRESS - FRAME_ADDRESS + DATA_BYTES),
    segment(PT_GNU_STACK, READ | WRITE, 0, 0, 0),
    code,
  ]);
}

function encoded(byte: number | typeof SOCKET, socket: number): Buffer {
  if (byte !== SOCKET) return Buffer.of(byte as number);
  const number = Buffer.alloc(4);
  number.writeInt32LE(socket);
  return number;
}

function segment(type: number, rights: number, address: number, fileBytes: number, memoryBytes: number): Buffer {
  const entry = Buffer.alloc(SEGMENT_BYTES);
  entry.writeUInt32LE(type, 0);
  entry.writeUInt32LE(rights, 4);
  entry.writeBigUInt64LE(BigInt(address), 16);
  entry.writeBigUInt64LE(BigInt(address), 24);
  entry.writeBigUInt64LE(BigInt(fileBytes), 32);
  entry.writeBigUInt64LE(BigInt(memoryBytes), 40);
  entry.writeBigUInt64LE(4096n, 48);
  return entry;
}
