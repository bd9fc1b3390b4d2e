import { errorText, failedPrecondition, invalidArgument } from "../error/sandbox-error.ts";
import { quote } from "../identifier/identifier.ts";
import {
  AND,
  createFilterProgram,
  type FilterProgram,
  JUMP_EQUAL,
  JUMP_GREATER,
  JUMP_GREATER_EQUAL,
  type Label,
  LOAD,
  RETURN,
} from "./filter-program.ts";
import type { OciSeccomp, OciSeccompArgument, OciSeccompRule } from "./oci-seccomp.ts";
import { type Machine, ownMachine } from "./system-calls.ts";

/** Offsets in struct seccomp_data. */
const NUMBER = 0;
const ARCHITECTURE = 4;
const ARGUMENTS = 16;

const RET_KILL_PROCESS = 0x80000000;
const RET_ERRNO = 0x00050000;
const EPERM = 1;
const ENOSYS = 38;

const ACTIONS: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: 0,
  SCMP_ACT_KILL_THREAD: 0,
  SCMP_ACT_KILL_PROCESS: RET_KILL_PROCESS,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_ERRNO: RET_ERRNO,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
};

/**
 * The filter that a profile of an OCI spec amounts to, for this host's machine. System calls that are not known by
 * name are left to the default action. INVALID_ARGUMENT for what is no profile, FAILED_PRECONDITION for what cannot be
 * had here.
 */
export function compileSeccomp(profile: OciSeccomp): Uint8Array {
  const text = JSON.stringify(profile);
  const known = compiled.get(text);
  if (known !== undefined) {
    return known;
  }
  const filter = compile(profile);
  if (compiled.size === COMPILED_KEPT) {
    compiled.clear();
  }
  compiled.set(text, filter);
  return filter;
}

/** By the profile's content: nearly all containers of a node have the same, which takes 7 ms at first. */
const compiled = new Map<string, Uint8Array>();
const COMPILED_KEPT = 8;

function compile(profile: OciSeccomp): Uint8Array {
  const machine = ownMachine();
  if (machine === undefined) {
    throw failedPrecondition(`seccomp profiles are not known for this host's machine, ${process.arch}`);
  }
  const fallback = actionOf(profile.defaultAction, profile.defaultErrnoRet);
  const program = createFilterProgram();
  refuseOtherMachines(program, machine);
  for (const rule of profile.syscalls ?? []) {
    const action = actionOf(rule.action, rule.errnoRet);
    if (action !== fallback) {
      addRule(program, machine, rule, action);
    }
  }
  program.add(RETURN, fallback);
  try {
    return program.bytes();
  } catch (error) {
    throw invalidArgument(errorText(error));
  }
}

function actionOf(name: string, errno: number | undefined): number {
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (action === undefined) {
    const known = Object.keys(ACTIONS).join(", ");
    throw invalidArgument(`seccomp action ${quote(String(name))}: expected one of ${known}`);
  }
  return action === RET_ERRNO ? action | ((errno ?? EPERM) & 0xffff) : action;
}

function refuseOtherMachines(program: FilterProgram, { audit, foreignFrom }: Machine): void {
  const [own, other] = [program.label(), program.label()];
  program.add(LOAD, ARCHITECTURE);
  program.jump(JUMP_EQUAL, audit, own, other);
  program.set(other);
  program.add(RETURN, RET_KILL_PROCESS);
  program.set(own);
  program.add(LOAD, NUMBER);
  if (foreignFrom > 0) {
    const [foreign, native] = [program.label(), program.label()];
    program.jump(JUMP_GREATER_EQUAL, foreignFrom, foreign, native);
    program.set(foreign);
    program.add(RETURN, RET_ERRNO | ENOSYS);
    program.set(native);
  }
}

/** With the call's number loaded, before and after. */
function addRule(program: FilterProgram, { calls }: Machine, rule: OciSeccompRule, action: number): void {
  for (const name of rule.names) {
    const number = calls.get(name);
    if (number === undefined) {
      continue;
    }
    const [same, next] = [program.label(), program.label()];
    program.jump(JUMP_EQUAL, number, same, next);
    program.set(same);
    const args = rule.args ?? [];
    const failed = args.length > 0 ? program.label() : next;
    for (const argument of args) {
      addComparison(program, argument, failed);
    }
    program.add(RETURN, action);
    if (args.length > 0) {
      program.set(failed);
      program.add(LOAD, NUMBER);
    }
    program.set(next);
  }
}

/** Goes on if the argument compares as it should, else to `failed`. */
function addComparison(program: FilterProgram, argument: OciSeccompArgument, failed: Label): void {
  const { index, op } = argument;
  if (!Number.isInteger(index) || index < 0 || index > 5) {
    throw invalidArgument(`seccomp argument index ${index}: expected 0 to 5`);
  }
  const passed = program.label();
  const value = halves(argument.value);
  switch (op) {
    case "SCMP_CMP_EQ":
      compareEqual(program, index, value, undefined, passed, failed);
      break;
    case "SCMP_CMP_NE":
      compareEqual(program, index, value, undefined, failed, passed);
      break;
    case "SCMP_CMP_MASKED_EQ":
      compareEqual(program, index, halves(argument.valueTwo ?? 0), value, passed, failed);
      break;
    case "SCMP_CMP_GT":
      compareOrder(program, index, value, JUMP_GREATER, passed, failed);
      break;
    case "SCMP_CMP_GE":
      compareOrder(program, index, value, JUMP_GREATER_EQUAL, passed, failed);
      break;
    case "SCMP_CMP_LE":
      compareOrder(program, index, value, JUMP_GREATER, failed, passed);
      break;
    case "SCMP_CMP_LT":
      compareOrder(program, index, value, JUMP_GREATER_EQUAL, failed, passed);
      break;
    default:
      throw invalidArgument(`seccomp operator ${quote(String(op))} is not known`);
  }
  program.set(passed);
}

interface Halves {
  readonly high: number;
  readonly low: number;
}

function halves(value: number): Halves {
  const bits = BigInt.asUintN(64, BigInt(value));
  return { high: Number(bits >> 32n), low: Number(bits & 0xffffffffn) };
}

function loadHalf(program: FilterProgram, index: number, half: keyof Halves, mask: Halves | undefined): void {
  program.add(LOAD, ARGUMENTS + 8 * index + (half === "high" ? 4 : 0));
  if (mask !== undefined) {
    program.add(AND, mask[half]);
  }
}

function compareEqual(
  program: FilterProgram,
  index: number,
  value: Halves,
  mask: Halves | undefined,
  equal: Label,
  different: Label,
): void {
  const low = program.label();
  loadHalf(program, index, "high", mask);
  program.jump(JUMP_EQUAL, value.high, low, different);
  program.set(low);
  loadHalf(program, index, "low", mask);
  program.jump(JUMP_EQUAL, value.low, equal, different);
}

function compareOrder(
  program: FilterProgram,
  index: number,
  value: Halves,
  lowJump: number,
  above: Label,
  below: Label,
): void {
  const [notAbove, low] = [program.label(), program.label()];
  loadHalf(program, index, "high", undefined);
  program.jump(JUMP_GREATER, value.high, above, notAbove);
  program.set(notAbove);
  program.jump(JUMP_EQUAL, value.high, low, below);
  program.set(low);
  loadHalf(program, index, "low", undefined);
  program.jump(lowJump, value.low, above, below);
}
