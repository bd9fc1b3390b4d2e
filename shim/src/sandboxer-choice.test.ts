import { google, runtimeoptions } from "@kuasar/proto/shim";
import { expect } from "chai";
import fc from "fast-check";
import { readRuntimeOptions } from "./runtime-options.ts";
import { chooseSandboxer } from "./sandboxer-choice.ts";

const SHIM = "containerd-shim-kuasar-v2";

function options(configBody: string | Uint8Array, typeUrl = "runtimeoptions.v1.Options"): Uint8Array {
  const body = typeof configBody === "string" ? new TextEncoder().encode(configBody) : configBody;
  return google.protobuf.Any.encode({ typeUrl, value: runtimeoptions.v1.Options.encode({ configBody: body }) });
}

const noFile = (path: string): string => {
  throw new Error(`no such file ${path}`);
};
const choose = (programName: string, bytes: Uint8Array, env: Record<string, string> = {}, readFile = noFile) =>
  chooseSandboxer({
    programName,
    options: readRuntimeOptions(bytes, readFile),
    env: new Map(Object.entries(env)),
  });

describe("the sandboxer of a pod", () => {
  it("is runc's when nobody says otherwise", () => {
    expect(choose(SHIM, new Uint8Array(0))).to.deep.equal({
      name: "runc",
      socket: "/run/runc-sandboxer.sock",
      hint: "runc-sandboxer --listen /run/runc-sandboxer.sock --dir /run/kuasar-runc",
    });
  });

  it("is in the name of the runtime", () => {
    expect(choose("containerd-shim-kuasar-wasm-v2", new Uint8Array(0)).socket).to.equal("/run/wasm-sandboxer.sock");
  });

  it("is in the options, whatever the name", () => {
    expect(choose("containerd-shim-kuasar-wasm-v2", options('sandboxer = "vmm"')).socket).to.equal(
      "/run/vmm-sandboxer.sock",
    );
  });

  it("is at the socket that the options name", () => {
    expect(choose(SHIM, options('sandboxer = "mine"\nsocket = "/run/mine.sock"'))).to.include({
      name: "mine",
      socket: "/run/mine.sock",
    });
  });

  it("is not changed by runc's own options", () => {
    expect(choose(SHIM, options('sandboxer = "vmm"', "containerd.runc.v1.Options")).name).to.equal("runc");
  });

  it("is read from the file that the options name", () => {
    const bytes = google.protobuf.Any.encode({
      typeUrl: "runtimeoptions.v1.Options",
      value: runtimeoptions.v1.Options.encode({ configPath: "/etc/kuasar/runtime.toml" }),
    });
    const readFile = (path: string) => (path === "/etc/kuasar/runtime.toml" ? 'sandboxer = "quark"' : noFile(path));
    expect(choose(SHIM, bytes, {}, readFile).name).to.equal("quark");
  });

  it("is at the socket that containerd's environment has for its kind, unless the options name one", () => {
    const env = { KUASAR_RUNC_SOCKET: "/run/elsewhere.sock" };
    const runcOptions = options("", "containerd.runc.v1.Options");
    expect(choose(SHIM, runcOptions, env)).to.include({ name: "runc", socket: "/run/elsewhere.sock" });
    expect(choose(SHIM, options('socket = "/run/mine.sock"'), env).socket).to.equal("/run/mine.sock");
    expect(choose(SHIM, options('sandboxer = "wasm"'), env).socket).to.equal("/run/wasm-sandboxer.sock");
  });

  it("must be at an absolute path in containerd's environment, too", () => {
    expect(() => choose(SHIM, new Uint8Array(0), { KUASAR_RUNC_SOCKET: "x.sock" })).to.throw(
      'KUASAR_RUNC_SOCKET: expected an absolute path, got "x.sock"',
    );
  });

  it("must be one that there is", () => {
    expect(() => choose(SHIM, options('sandboxer = "docker"'))).to.throw(
      'runtime options: sandboxer: expected one of runc, wasm, vmm, quark, or any name with a socket, got "docker"',
    );
  });

  it("must be at an absolute path", () => {
    expect(() => choose(SHIM, options('socket = "run/x.sock"'))).to.throw("socket: expected an absolute path");
  });

  it("is refused with the place of the mistake in what is not TOML", () => {
    expect(() => choose(SHIM, options("sandboxer = runc = 1"))).to.throw(/ConfigBody: line 1, column \d+: /);
  });

  it("is chosen or refused in words, whatever the bytes", () => {
    const garbage = fc.oneof(
      fc.uint8Array(),
      fc.uint8Array().map((bytes) => options(bytes)),
      fc.string().map((text) => options(text)),
    );
    fc.assert(
      fc.property(garbage, (bytes) => {
        try {
          expect(choose(SHIM, bytes).socket).to.match(/^\//);
        } catch (error) {
          expect((error as Error).message).to.match(/^(runtime options: |no such file )/);
        }
      }),
    );
  });
});
