import { SandboxService, TaskService } from "@kuasar/proto/definitions";
import { type Conversation, conversations, converse } from "../conversation.ts";
import { fuzzTarget } from "../fuzz-target.ts";
import { hex, textOf } from "../hostile.ts";
import { CONNECT, openShimStage } from "../shim-pod.ts";

const ENDING = ["Shutdown", "ShutdownSandbox"];
const methodsOf = ({ methods }: typeof TaskService | typeof SandboxService) =>
  Object.values(methods)
    .map(({ name }) => name)
    .filter((name) => !ENDING.includes(name));

/** The native shim's socket, by one process for all inputs: descriptors and memory must not grow. */
export const shimWire = fuzzTarget<Conversation>({
  name: "shim-wire",
  native: true,
  inputs: conversations({
    services: {
      [TaskService.name]: [...methodsOf(TaskService), "toString", "__proto__"],
      [SandboxService.name]: methodsOf(SandboxService),
    },
    payload: hex(30),
  }),
  async open() {
    const stage = await openShimStage();
    const shim = await stage.startPod();
    const before = shim.residentKib();
    return {
      async feed(conversation) {
        const peer = await shim.connect();
        await converse(
          peer,
          conversation,
          (streamId) => peer.callOn(streamId, CONNECT),
          (step) => !("request" in step) || step.damage !== undefined || textOf(step.request.method).startsWith("Wait"),
        );
        peer.close();
        const { code } = await shim.first.call(CONNECT);
        if (code !== 0) throw new Error(`the shim no longer serves: code ${code}`);
        // One to the sandboxer.
        await shim.requireSound({ more: 1 });
      },
      async close() {
        const grown = shim.residentKib() - before;
        await shim.kill();
        await stage.close();
        if (grown > MEMORY_KIB) throw new Error(`the shim has grown by ${grown} KiB`);
      },
    };
  },
});

/** A frame of 4 MiB and what is made of it. */
const MEMORY_KIB = 32 * 1024;
