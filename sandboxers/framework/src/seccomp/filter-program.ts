/** A program of the kernel's classic BPF (linux/filter.h), as seccomp(2) takes it. */
export interface FilterProgram {
  add(code: number, k: number): void;
  /** Goes to one label or the other; both must be set within 255 instructions from here. */
  jump(code: number, k: number, ifTrue: Label, ifFalse: Label): void;
  label(): Label;
  set(label: Label): void;
  /** 8 bytes an instruction. Throws an Error if it is longer than the kernel takes. */
  bytes(): Uint8Array;
}

/** A place in the program. */
export interface Label {
  at: number;
}

/** Load a word of seccomp_data, return, and the jumps: codes of linux/bpf_common.h. */
export const LOAD = 0x20;
export const RETURN = 0x06;
export const AND = 0x54;
export const JUMP_EQUAL = 0x15;
export const JUMP_GREATER = 0x25;
export const JUMP_GREATER_EQUAL = 0x35;

const INSTRUCTIONS_MAX = 4096;
const BYTES = 8;

interface Instruction {
  readonly code: number;
  readonly k: number;
  readonly ifTrue?: Label;
  readonly ifFalse?: Label;
}

export function createFilterProgram(): FilterProgram {
  const instructions: Instruction[] = [];

  function distance(from: number, label: Label | undefined): number {
    const steps = label === undefined ? 0 : label.at - from - 1;
    if (steps < 0 || steps > 255) {
      throw new Error(`a jump of ${steps} instructions: expected 0 to 255`);
    }
    return steps;
  }

  return {
    add: (code, k) => void instructions.push({ code, k }),
    jump: (code, k, ifTrue, ifFalse) => void instructions.push({ code, k, ifTrue, ifFalse }),
    label: () => ({ at: -1 }),

    set(label) {
      label.at = instructions.length;
    },

    bytes() {
      if (instructions.length > INSTRUCTIONS_MAX) {
        throw new Error(
          `a seccomp filter of ${instructions.length} instructions: expected ${INSTRUCTIONS_MAX} at most`,
        );
      }
      const bytes = Buffer.alloc(instructions.length * BYTES);
      for (const [index, { code, k, ifTrue, ifFalse }] of instructions.entries()) {
        const at = index * BYTES;
        bytes.writeUInt16LE(code, at);
        bytes.writeUInt8(distance(index, ifTrue), at + 2);
        bytes.writeUInt8(distance(index, ifFalse), at + 3);
        bytes.writeUInt32LE(k >>> 0, at + 4);
      }
      return bytes;
    },
  };
}
