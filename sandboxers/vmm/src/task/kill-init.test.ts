import { setTimeout as sleep } from "node:timers/promises";
import { ErrorCode, isCode, SandboxError, unavailable } from "@kuasar/framework/error/sandbox-error";
import { silentLogger } from "@kuasar/framework/log/logger";
import type { Sandbox } from "@kuasar/framework/sandbox/sandbox";
import type { Task } from "@kuasar/framework/task/task";
import { expect } from "chai";
import type { Machines, RunningMachine } from "../machine/machine.ts";
import { killInit } from "./kill-init.ts";

const TIMES = { heardMs: 100, endedMs: 500 };

describe("SIGKILL for a container in a machine", () => {
  let over: boolean;
  let stalled: boolean;
  let silentSince: number | undefined;
  let ended: string[];
  const machine = {
    dying: new Set<string>(),
    get liveness() {
      return { silentSince };
    },
    pumps: new Map([
      [
        "c1",
        {
          get isStalled() {
            return stalled;
          },
        },
      ],
    ]),
  } as unknown as RunningMachine;
  const machines = { isOver: () => over, of: () => machine, known: () => machine } as unknown as Machines;
  const monitor = { signal: async (key: string, signal: number) => void ended.push(`${key} ${signal}`) };
  const sandbox = { id: "pod", monitor } as unknown as Sandbox;
  const taskWith = (told: { settled: boolean }) => ({ id: "c1", exit: () => told }) as unknown as Task;
  const kill = (ask: () => Promise<void>, told = { settled: false }) =>
    killInit(machines, sandbox, taskWith(told), ask, silentLogger, TIMES);

  beforeEach(() => {
    over = false;
    stalled = false;
    silentSince = undefined;
    ended = [];
    machine.dying.clear();
  });

  it("ends the machine where nobody hears it", async () => {
    await kill(async () => {
      throw unavailable("not there");
    });
    expect(ended).to.deep.equal(["hypervisor 9"]);
  });

  it("ends a machine that is known to be silent at once", async () => {
    silentSince = 1;
    let asked = 0;
    await kill(async () => {
      asked++;
      throw new SandboxError(ErrorCode.DEADLINE_EXCEEDED, "late");
    });
    expect([asked, ended]).to.deep.equal([1, ["hypervisor 9"]]);
  });

  it("ends the machine where it is heard, and nothing comes of it", async () => {
    await kill(async () => {});
    while (ended.length === 0) await sleep(10);
    expect(ended).to.deep.equal(["hypervisor 9"]);
  });

  it("ends no machine whose container ends, or whose client does not read", async () => {
    await kill(async () => {}, { settled: true });
    machine.dying.clear();
    stalled = true;
    await kill(async () => {});
    await sleep(3 * TIMES.endedMs);
    expect(ended).to.deep.equal([]);
    over = true;
  });

  it("is what the guest says it is where that can be acted on", async () => {
    const error = await kill(async () => {
      throw new SandboxError(ErrorCode.NOT_FOUND, "process already finished");
    }).catch((thrown: unknown) => thrown);
    expect(isCode(error, ErrorCode.NOT_FOUND)).to.equal(true);
    expect(ended).to.deep.equal([]);
  });
});
