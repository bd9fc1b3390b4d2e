import { ErrorCode } from "@kuasar/framework/error/sandbox-error";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import { expect } from "chai";
import type { Machines } from "../machine/machine.ts";
import { createMachineExec } from "./machine-exec.ts";

describe("a process for whoever looks into a machine", () => {
  it("is refused, with the key that allows it, unless the config says otherwise", async () => {
    // Nothing of these is touched.
    const [machines, sandbox] = [{} as Machines, { id: "pod1" } as Sandbox];
    const command = { program: Buffer.from("x"), programName: "sh", args: [], env: [], terminal: false };
    const error = await createMachineExec({ debug: false }, machines)(sandbox, command).catch((thrown) => thrown);
    expect(error).to.include({ code: ErrorCode.FAILED_PRECONDITION });
    expect(error.message).to.include('"debug" in [hypervisor]');
  });
});
