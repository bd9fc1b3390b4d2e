import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Server, ServerCredentials, type ServerWritableStream, status } from "@grpc/grpc-js";
import { grpcService } from "@kuasar/proto/grpc";
import type { containerd } from "@kuasar/proto/services";
import { ContentService } from "@kuasar/proto/services-definitions";
import { assert } from "chai";
import { ErrorCode } from "../error/sandbox-error.ts";
import { rejects } from "../testing/rejects.ts";
import { createContentStores } from "./content-store.ts";

type ReadCall = ServerWritableStream<
  containerd.services.content.v1.ReadContentRequest,
  containerd.services.content.v1.IReadContentResponse
>;

describe("containerd's content store", () => {
  const folder = mkdtempSync(join(tmpdir(), "kuasar-"));
  const socket = join(folder, "containerd.sock");
  const content = Buffer.from("a module");
  const digest = `sha256:${createHash("sha256").update(content).digest("hex")}`;
  // A fake of containerd's: it has two blobs, of which one is not what it is called.
  const blobs = new Map([
    [digest, content],
    [`sha256:${"0".repeat(64)}`, content],
  ]);
  const server = new Server();
  const store = createContentStores()(socket, "k8s.io");

  before((done) => {
    const read = (call: ReadCall) => {
      const blob = blobs.get(call.request.digest);
      if (blob === undefined) return void call.emit("error", { code: status.NOT_FOUND, details: "not found" });
      for (const byte of blob) call.write({ data: Buffer.of(byte) });
      call.end();
    };
    server.addService({ read: grpcService(ContentService).read }, { read });
    server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), () => done());
  });

  after(() => {
    server.forceShutdown();
    rmSync(folder, { recursive: true });
  });

  it("gives a blob's bytes, and writes them to a file", async () => {
    const blob = { digest, size: content.length };
    assert.deepEqual(await store.read(blob, 100), content);
    await store.copyTo(blob, join(folder, "copy"));
    assert.deepEqual(readFileSync(join(folder, "copy")), content);
  });

  it("gives nothing that is not what its digest and its size say", async () => {
    const wrong = [
      { digest: `sha256:${"0".repeat(64)}`, size: content.length },
      { digest, size: content.length - 1 },
      { digest, size: content.length + 1 },
    ];
    for (const blob of wrong) await rejects(store.read(blob, 100), ErrorCode.FAILED_PRECONDITION, /of that digest/);
    await rejects(store.read({ digest, size: 101 }, 100), ErrorCode.FAILED_PRECONDITION, /expected 100 at most/);
  });

  it("says what it does not have, and when nobody answers", async () => {
    const blob = { digest: `sha256:${"1".repeat(64)}`, size: 1 };
    await rejects(store.read(blob, 100), ErrorCode.NOT_FOUND, /content sha256:1+/);
    const nobody = createContentStores()(join(folder, "nobody.sock"), "k8s.io");
    await rejects(nobody.imageOf("c"), ErrorCode.UNAVAILABLE, /nobody.sock: container c/);
    assert.isFalse(existsSync(join(folder, "nobody.sock")));
  });
});
