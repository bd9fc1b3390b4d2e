import { containerd } from "@kuasar/proto/containerd";
import { TaskService } from "@kuasar/proto/definitions";
import { assert } from "chai";
import { useLab } from "./lab.ts";
import { RawTtrpc } from "./raw-ttrpc.ts";
import { kuasarCases } from "./runtime-case.ts";

const { ConnectResponse, StateResponse, WaitResponse } = containerd.task.v2;
const { Status } = containerd.v1.types;
const SIGKILL = 9;

for (const runtimeCase of kuasarCases.filter(({ criSandboxes }) => !criSandboxes)) {
  describe(`What containerd asks a shim alone, of ${runtimeCase.title}`, function () {
    this.timeout(60_000);
    const lab = useLab(runtimeCase);
    const id = "alone";
    let peer: RawTtrpc;

    beforeEach(async () => {
      const { containerd: daemon } = lab();
      await daemon.ctr(lab().ctrRunArgs(["--detach"], id, "sleep", "1000"));
      peer = await RawTtrpc.connect(lab().shimSocket(daemon.ctrNamespace, id));
    });

    afterEach(async () => {
      peer.close();
      const { containerd: daemon } = lab();
      await daemon.ctr(["task", "rm", "--force", id]);
      await daemon.ctr(["container", "rm", id]);
      await lab().assertNothingLeft();
    });

    it("Connect names its process and the task's", async () => {
      const { connect, state } = TaskService.methods;
      const { shimPid, taskPid } = ConnectResponse.decode((await peer.call(TaskService, connect, { id })).payload);
      const { pid } = StateResponse.decode((await peer.call(TaskService, state, { id })).payload);
      assert.equal(shimPid, lab().shimOf(id).pid);
      assert.equal(taskPid, pid);
    });

    it("Shutdown while a task is there changes nothing", async () => {
      const { shutdown, state } = TaskService.methods;
      assert.equal((await peer.call(TaskService, shutdown, { id, now: true })).code, 0);
      const { status } = StateResponse.decode((await peer.call(TaskService, state, { id })).payload);
      assert.equal(status, Status.RUNNING);
    });

    it("a Wait that is given up does not disturb another", async () => {
      const { wait, kill } = TaskService.methods;
      const socket = lab().shimSocket(lab().containerd.ctrNamespace, id);
      const [gone, patient] = [await RawTtrpc.connect(socket), await RawTtrpc.connect(socket)];
      try {
        gone.call(TaskService, wait, { id }).catch(() => undefined);
        const waited = patient.call(TaskService, wait, { id });
        gone.close();
        await peer.call(TaskService, kill, { id, signal: SIGKILL });
        assert.equal(WaitResponse.decode((await waited).payload).exitStatus, 128 + SIGKILL);
      } finally {
        patient.close();
      }
    });
  });
}
