import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "@kuasar/install/wait-until";
import { assert } from "chai";
import { execa } from "execa";
import { endContainer, endsOnRequest, exitCodeOf, pidOf } from "./container-end.ts";
import { type Lab, useLab } from "./lab.ts";
import { kuasarCases } from "./runtime-case.ts";

const BLOCK = Buffer.alloc(4096);

for (const runtimeCase of kuasarCases) {
  describe(`With the disk full that the sandboxer keeps its state on, behind ${runtimeCase.title}`, function () {
    this.timeout(120_000);
    const lab = useLab(runtimeCase);

    beforeEach(async () => {
      await lab().sandboxer.kill("SIGTERM");
      const directory = storeOf(lab());
      rmSync(directory, { recursive: true });
      mkdirSync(directory, { mode: 0o700 });
      await execa("mount", ["-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", directory]);
      await lab().sandboxer.start();
    });

    afterEach(async () => {
      await lab().sandboxer.kill("SIGTERM");
      await execa("umount", [storeOf(lab())]);
    });

    it("no pod is begun and it is said why, exits are known, pods can be removed, and all is well with room again", async () => {
      const pod = await lab().runPod();
      const [stays, ends] = [await pod.start(), await pod.start({ command: endsOnRequest })];
      const pid = await pidOf(lab(), ends);
      const doomed = await lab().runPod();
      await doomed.start();
      const full = fill(storeOf(lab()));

      const told = await lab()
        .runPod()
        .then(
          () => "no error",
          (error: Error) => error.message,
        );
      assert.match(told, /ENOSPC|no space left/);
      await endContainer(pid);
      assert.equal(await exitCodeOf(pod, ends), 7);
      await waitUntil(() => doomed.remove().then(() => true), { what: "a pod to be removed", timeoutMs: 20_000 });

      rmSync(full);
      assert.equal((await pod.exec(stays, "echo", "room")).stdout, "room\n");
      await lab().sandboxer.kill("SIGKILL");
      await lab().sandboxer.start();
      const again = () => pod.exec(stays, "echo", "again");
      const { stdout } = await waitUntil(again, { what: "a command after the restart", timeoutMs: 10_000 });
      assert.equal(stdout, "again\n");
      await pod.remove();
    });
  });
}

function storeOf(lab: Lab): string {
  if (!lab.sandboxDirectory) throw new Error("expected a sandboxer");
  return lab.sandboxDirectory;
}

/** Takes all the room there is. Answers with the file that has it. */
function fill(folder: string): string {
  const path = join(folder, ".full");
  const file = openSync(path, "w");
  try {
    for (;;) writeSync(file, BLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  } finally {
    closeSync(file);
  }
  return path;
}
