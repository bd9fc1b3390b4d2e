import type { JsonObject } from "@kuasar/framework/store/json";
import { expect } from "chai";
import { VMM_CONFIG_DEFAULTS } from "../../config.ts";
import { growMachine } from "./grow-machine.ts";
import { asArgument, memoryBackend } from "./memory-backend.ts";

const MEBIBYTE = 1024 * 1024;
const config = VMM_CONFIG_DEFAULTS.hypervisor;

/** In QEMU's place: a machine with one processor of three, and so much memory. */
function fakeQemu(memoryMiB: number, refuses = "") {
  const done: [string, JsonObject | undefined][] = [];
  const place = (core: number) => ({ type: "max-x86_64-cpu", "vcpus-count": 1, props: { "core-id": core } });
  const run = async (command: string, args?: JsonObject): Promise<unknown> => {
    if (command === "query-hotpluggable-cpus") return [place(2), place(1), { ...place(0), "qom-path": "/machine/cpu" }];
    if (command === "query-memory-size-summary") return { "base-memory": memoryMiB * MEBIBYTE, "plugged-memory": 0 };
    done.push([command, args]);
    if (args?.driver === refuses) throw new Error("no free slot");
    return {};
  };
  return { done, qmp: { run } };
}

describe("A machine of QEMU's that grows", () => {
  it("is plugged in what it lacks: the next processors, and memory in blocks", async () => {
    const { done, qmp } = fakeQemu(256);
    expect(await growMachine(qmp, config, { vcpus: 2, memoryMiB: 600 })).to.deep.equal({ vcpus: 2, memoryMiB: 512 });
    const [processor, backend, dimm] = done;
    expect(processor).to.deep.equal(["device_add", { driver: "max-x86_64-cpu", id: "processor-1", "core-id": 1 }]);
    expect(backend?.[0]).to.equal("object-add");
    expect(backend?.[1]).to.include({ "qom-type": "memory-backend-memfd", share: true, size: 256 * MEBIBYTE });
    expect(dimm?.[1]).to.include({ driver: "pc-dimm", memdev: backend?.[1]?.id });
  });

  it("keeps what it has, and has no more than there are places for", async () => {
    const { done, qmp } = fakeQemu(512);
    expect(await growMachine(qmp, config, { vcpus: 1, memoryMiB: 256 })).to.deep.equal({ vcpus: 1, memoryMiB: 512 });
    expect(done).to.deep.equal([]);
    expect((await growMachine(qmp, config, { vcpus: 9, memoryMiB: 0 })).vcpus).to.equal(3);
  });

  it("that has no slot left for memory keeps nothing of the attempt", async () => {
    const { done, qmp } = fakeQemu(256, "pc-dimm");
    const error = await growMachine(qmp, config, { vcpus: 1, memoryMiB: 512 }).catch((thrown: Error) => thrown.message);
    expect(error).to.equal("no free slot");
    expect(done.map(([command]) => command)).to.deep.equal(["object-add", "device_add", "object-del"]);
    expect(done[2]?.[1]?.id).to.equal(done[0]?.[1]?.id);
  });

  it("has memory of the same kind from the start", () => {
    expect(asArgument(memoryBackend({ ...config, hugepages: true }, "memory", MEBIBYTE))).to.equal(
      "memory-backend-memfd,id=memory,size=1048576,share=on,hugetlb=on",
    );
  });
});
