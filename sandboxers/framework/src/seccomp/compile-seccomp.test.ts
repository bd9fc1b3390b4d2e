import { assert } from "chai";
import { compileSeccomp } from "./compile-seccomp.ts";
import type { OciSeccomp } from "./oci-seccomp.ts";
import { ownMachine } from "./system-calls.ts";

const ALLOW = 0x7fff0000;
const ERRNO = 0x00050000;
const KILL_PROCESS = 0x80000000;

/** What the kernel would do: classic BPF over struct seccomp_data. */
function outcome(
  filter: Uint8Array,
  name: string,
  args: readonly bigint[] = [],
  change: { audit?: number } = {},
): number {
  const machine = ownMachine();
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, machine?.calls.get(name) ?? 0xffff, true);
  data.setUint32(4, change.audit ?? machine?.audit ?? 0, true);
  args.forEach((value, index) => void data.setBigUint64(16 + 8 * index, value, true));
  const program = new DataView(filter.buffer, filter.byteOffset, filter.byteLength);
  let loaded = 0;
  for (let at = 0; ; at++) {
    const code = program.getUint16(8 * at, true);
    const k = program.getUint32(8 * at + 4, true);
    const taken = (condition: boolean) => program.getUint8(8 * at + (condition ? 2 : 3));
    if (code === 0x20) loaded = data.getUint32(k, true);
    else if (code === 0x06) return k;
    else if (code === 0x54) loaded = (loaded & k) >>> 0;
    else if (code === 0x15) at += taken(loaded === k);
    else if (code === 0x25) at += taken(loaded > k);
    else if (code === 0x35) at += taken(loaded >= k);
    else throw new Error(`instruction ${code}`);
  }
}

describe("a seccomp profile", () => {
  before(function () {
    if (ownMachine() === undefined) this.skip();
  });

  const allowing = (rules: OciSeccomp["syscalls"]) =>
    compileSeccomp({ defaultAction: "SCMP_ACT_ERRNO", syscalls: rules ?? [] });
  const comparing = (op: string, value: number, valueTwo?: number) =>
    allowing([
      {
        names: ["socket"],
        action: "SCMP_ACT_ALLOW",
        args: [{ index: 1, value, op, ...(valueTwo !== undefined && { valueTwo }) }],
      },
      { names: ["read"], action: "SCMP_ACT_ALLOW" },
    ]);

  it("allows what it names and refuses all else, with the error it says", () => {
    const filter = compileSeccomp({
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 38,
      syscalls: [
        { names: ["read", "no_such_call"], action: "SCMP_ACT_ALLOW" },
        { names: ["mount"], action: "SCMP_ACT_ERRNO", errnoRet: 1 },
      ],
    });
    assert.deepEqual(
      ["read", "write", "mount"].map((name) => outcome(filter, name)),
      [ALLOW, ERRNO | 38, ERRNO | 1],
    );
  });

  it("ends a process that makes the calls of another machine", () => {
    assert.equal(
      outcome(allowing([{ names: ["read"], action: "SCMP_ACT_ALLOW" }]), "read", [], { audit: 3 }),
      KILL_PROCESS,
    );
  });

  it("compares arguments of 64 bits in every way", () => {
    const cases: [string, number, number | undefined, bigint, boolean][] = [
      ["SCMP_CMP_EQ", 5, undefined, 5n, true],
      ["SCMP_CMP_EQ", 5, undefined, 5n | (1n << 32n), false],
      ["SCMP_CMP_NE", 5, undefined, 6n, true],
      ["SCMP_CMP_NE", 5, undefined, 5n, false],
      ["SCMP_CMP_MASKED_EQ", 0xf0, 0x50, 0x5fn, true],
      ["SCMP_CMP_MASKED_EQ", 0xf0, 0x50, 0x6fn, false],
      ["SCMP_CMP_GT", 5, undefined, 6n, true],
      ["SCMP_CMP_GT", 5, undefined, 5n, false],
      ["SCMP_CMP_GT", 5, undefined, 1n << 40n, true],
      ["SCMP_CMP_GE", 5, undefined, 5n, true],
      ["SCMP_CMP_GE", 2 ** 33, undefined, 5n, false],
      ["SCMP_CMP_LT", 5, undefined, 4n, true],
      ["SCMP_CMP_LT", 5, undefined, 5n, false],
      ["SCMP_CMP_LE", 5, undefined, 5n, true],
      ["SCMP_CMP_LE", 5, undefined, 1n << 33n, false],
    ];
    for (const [op, value, valueTwo, argument, allowed] of cases) {
      const filter = comparing(op, value, valueTwo);
      assert.equal(outcome(filter, "socket", [0n, argument]) === ALLOW, allowed, `${argument} ${op} ${value}`);
      assert.equal(outcome(filter, "read"), ALLOW, "the rule after it");
    }
  });

  it("is refused with what is wrong with it", () => {
    assert.throws(() => compileSeccomp({ defaultAction: "SCMP_ACT_SMILE" }), /seccomp action "SCMP_ACT_SMILE"/);
    assert.throws(() => comparing("SCMP_CMP_ALMOST", 1), /seccomp operator "SCMP_CMP_ALMOST" is not known/);
  });
});
