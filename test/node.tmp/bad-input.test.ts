import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Pod } from "@kuasar/install/pod";
import { criNamespace } from "@kuasar/install/private-containerd";
import { programPath } from "@kuasar/install/programs";
import { SandboxService, TaskService } from "@kuasar/proto/definitions";
import { assert } from "chai";
import { execa } from "execa";
import { useLab } from "./lab.ts";
import { frameHeader, RawTtrpc } from "./raw-ttrpc.ts";
import { kuasarCases } from "./runtime-case.ts";

const invalidArgument = 3;
const notFound = 5;
const resourceExhausted = 8;
const messageLimit = 4 * 1024 * 1024;

for (const runtimeCase of kuasarCases.filter(({ criSandboxes }) => !criSandboxes)) {
  describe(`Bad input to ${runtimeCase.title}`, function () {
    this.timeout(60_000);
    const lab = useLab(runtimeCase);
    let pod: Pod;
    let containerId: string;

    beforeEach(async () => {
      pod = await lab().runPod();
      containerId = await pod.start();
    });

    afterEach(async () => {
      assert.equal((await pod.exec(containerId, "echo", "alive")).stdout, "alive\n");
      await pod.remove();
      await lab().assertNothingLeft();
    });

    for (const id of ["../x", "/etc", "", "a/../b", "x".repeat(200)]) {
      it(`the sandboxer refuses a sandbox called ${JSON.stringify(id.slice(0, 10))}`, async () => {
        const { createSandbox } = SandboxService.methods;
        const { code, message } = await askSandboxer((peer) =>
          peer.call(SandboxService, createSandbox, { sandboxId: id, bundlePath: lab().directory }),
        );
        assert.equal(code, invalidArgument, message);
        assert.isNotEmpty(message);
      });
    }

    it("the sandboxer refuses a task called ../x", async () => {
      const { create } = TaskService.methods;
      const { code, message } = await askSandboxer((peer) =>
        peer.call(TaskService, create, { id: "../x", bundle: lab().directory }),
      );
      assert.equal(code, invalidArgument, message);
      assert.include(message, "../x");
    });

    it("the shim refuses to start for an id of ../x, and makes nothing", async () => {
      const bundle = join(lab().directory, "bundle");
      mkdirSync(bundle, { recursive: true });
      const { socket } = lab().containerd.layout;
      const flags = ["-namespace", "default", "-address", socket, "-id", "../x", "start"];
      const result = await execa(programPath(runtimeCase.shim), flags, { cwd: bundle, reject: false, input: "" });
      assert.notEqual(result.exitCode, 0);
      assert.include(`${result.stdout}${result.stderr}`, "../x");
      assert.isEmpty(readdirSync(bundle));
    });

    it("the sandboxer says so when a bundle is not there", async () => {
      const { createSandbox } = SandboxService.methods;
      const bundlePath = join(lab().directory, "no-such-bundle");
      const { code, message } = await askSandboxer((peer) =>
        peer.call(SandboxService, createSandbox, { sandboxId: "nobundle", bundlePath }),
      );
      assert.oneOf(code, [invalidArgument, notFound], message);
      assert.include(message, bundlePath);
    });

    const badOptions: readonly [title: string, toml: string, told: RegExp][] = [
      ["options that are not TOML", "sandboxer = [", /TOML|line 1/],
      ["an unknown sandboxer", 'sandboxer = "nosuch"', /nosuch/],
      ["an unknown key", 'colour = "red"', /colour/],
      ["a socket that is no path", 'socket = "somewhere"', /somewhere/],
    ];
    for (const [title, toml, told] of badOptions) {
      it(`the shim refuses ${title}`, async () => {
        const file = join(lab().directory, "bad-options.toml");
        // The unknown key must reach the sandboxer, so this one names ours.
        const socket = `socket = ${JSON.stringify(lab().sandboxer.options.socket)}\n`;
        writeFileSync(file, `${toml.includes("colour") ? socket : ""}${toml}\n`);
        const flags = ["--rm", "--runtime-config-path", file];
        const result = await lab().containerd.ctr(lab().ctrRunArgs(flags, "badoptions", "true"), { reject: false });
        assert.notEqual(result.exitCode, 0);
        assert.match(result.stderr, told);
      });
    }

    for (const peerName of ["shim", "sandboxer"] as const) {
      it(`a frame of more than 4 MiB gets RESOURCE_EXHAUSTED from the ${peerName}, and the connection goes on`, async () => {
        const peer = await RawTtrpc.connect(socketOf(peerName));
        const size = messageLimit + 1;
        peer.send(Buffer.concat([frameHeader(size, 1), Buffer.alloc(size)]));
        const refused = await peer.receive();
        assert.deepInclude(refused, { streamId: 1, code: resourceExhausted });
        peer.send(frameHeader(0, 3));
        assert.equal((await peer.receive()).streamId, 3);
        peer.close();
      });

      it(`a frame that claims 4 GiB and stays away does no harm to the ${peerName}`, async () => {
        const peer = await RawTtrpc.connect(socketOf(peerName));
        peer.send(frameHeader(0xffffffff, 1));
        peer.close();
      });

      it(`garbage does no harm to the ${peerName}`, async () => {
        for (const first of [0x00, 0x50, 0xff]) {
          const peer = await RawTtrpc.connect(socketOf(peerName));
          peer.send(Buffer.concat([Buffer.from([first]), randomBytes(64 * 1024)]));
          peer.close();
        }
        const broken = await RawTtrpc.connect(socketOf(peerName));
        const garbage = randomBytes(100).fill(0xff, 0, 10);
        broken.send(Buffer.concat([frameHeader(garbage.length, 1), garbage]));
        const { code } = await broken.receive();
        assert.notEqual(code, 0);
        broken.close();
      });

      it(`only root may use the ${peerName}'s socket`, () => {
        const { mode, uid } = statSync(socketOf(peerName));
        assert.equal(mode & 0o777, 0o600);
        assert.equal(uid, 0);
      });
    }

    it("an unknown sandbox is NOT_FOUND", async () => {
      const { startSandbox } = SandboxService.methods;
      const { code, message } = await askSandboxer((peer) =>
        peer.call(SandboxService, startSandbox, { sandboxId: "nosuchsandbox" }),
      );
      assert.equal(code, notFound, message);
      assert.include(message, "nosuchsandbox");
    });

    function socketOf(peerName: "shim" | "sandboxer"): string {
      return peerName === "shim" ? lab().shimSocket(criNamespace, pod.id) : lab().sandboxer.options.socket;
    }

    async function askSandboxer<T>(ask: (peer: RawTtrpc) => Promise<T>): Promise<T> {
      const peer = await RawTtrpc.connect(lab().sandboxer.options.socket);
      try {
        return await ask(peer);
      } finally {
        peer.close();
      }
    }
  });
}
