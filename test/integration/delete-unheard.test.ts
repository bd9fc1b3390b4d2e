import { containerd } from "@kuasar/proto/containerd";
import { TaskService } from "@kuasar/proto/definitions";
import { assert } from "chai";
import { useLab } from "./lab.ts";
import { RawTtrpc } from "./raw-ttrpc.ts";
import { kuasarCases } from "./runtime-case.ts";

const { DeleteResponse, StateResponse } = containerd.task.v2;
const { Status } = containerd.v1.types;
const notFound = 5;

for (const runtimeCase of kuasarCases.filter(({ criSandboxes }) => !criSandboxes)) {
  describe(`A Delete whose caller has not heard the answer, through ${runtimeCase.title}`, function () {
    this.timeout(60_000);
    const lab = useLab(runtimeCase);

    it("is answered the same again, and the task's state until then", async () => {
      const { containerd: daemon } = lab();
      const id = "unheard";
      await daemon.ctr(lab().ctrRunArgs(["--detach"], id, "sh", "-c", "sleep 0.2; exit 7"));
      const peer = await RawTtrpc.connect(lab().shimSocket(daemon.ctrNamespace, id));
      try {
        const { wait, delete: remove, state } = TaskService.methods;
        await peer.call(TaskService, wait, { id });
        // Sooner over than the sandboxer can answer, as a rule.
        await peer.call(TaskService, remove, { id }, 1);
        const heard = await peer.call(TaskService, remove, { id });
        const again = await peer.call(TaskService, remove, { id });
        assert.deepInclude({ ...DeleteResponse.decode(heard.payload) }, { exitStatus: 7 });
        assert.deepEqual(again.payload, heard.payload);
        const { status, exitStatus } = StateResponse.decode((await peer.call(TaskService, state, { id })).payload);
        assert.deepEqual({ status, exitStatus }, { status: Status.STOPPED, exitStatus: 7 });
        assert.equal((await peer.call(TaskService, remove, { id, execId: "none" })).code, notFound);
      } finally {
        peer.close();
      }
      // containerd, who has heard of none of this, finds the task as it was, and takes it away with its shim.
      await daemon.ctr(["task", "rm", id]);
      await daemon.ctr(["container", "rm", id]);
      await lab().assertNothingLeft();
    });
  });
}
