import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "@kuasar/install/wait-until";
import { containerd } from "@kuasar/proto/containerd";
import { TaskService } from "@kuasar/proto/definitions";
import fc from "fast-check";
import { connect } from "ttrpc-ts/node";
import { type Change, changed, changes } from "../documents.ts";
import { FramePeer } from "../frame-peer.ts";
import { fuzzTarget } from "../fuzz-target.ts";
import { type Damage, damaged, damages, type Hex, hex, hostileName, type Text, textOf } from "../hostile.ts";
import { nativeProgram } from "../native-server.ts";
import { sanitizerReport } from "../sanitizer.ts";
import { CONNECT, openShimStage, SHIM, type ShimStage } from "../shim-pod.ts";
import { encodeOptions, type OptionInput, optionInputs } from "./options.ts";

const CONFIG = {
  ociVersion: "1.1.0",
  annotations: { "io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": "pod" },
  linux: { namespaces: [{ type: "pid" }, { type: "network", path: "/proc/self/ns/net" }] },
};
const RECORD = { role: "sandbox", sandboxId: "pod", netnsPath: "", sandboxer: "fuzz", socket: "$SOCKET" };

/** One call of the shim's program, as containerd makes it but for some of it. */
interface ShimCommand {
  readonly action: "start" | "delete" | Text;
  readonly flags: ReadonlyArray<readonly [Text, Text]>;
  readonly env: Readonly<Record<string, Text>>;
  /** Its options; without any, those that name the sandboxer. */
  readonly options?: OptionInput | { readonly bytes: Hex } | { readonly damage: readonly Damage[] };
  /** config.json, none without it. */
  readonly config?: { readonly changes: readonly Change[]; readonly damage?: readonly Damage[] };
  /** kuasar.json, as an earlier start may have left it. */
  readonly record?: { readonly changes: readonly Change[]; readonly damage?: readonly Damage[] };
  /** What else is in the bundle: a file's text, or null for a folder. */
  readonly clutter: Readonly<Record<string, Text | null>>;
}

const usual = <T>(value: T, other: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: other });
const documents = fc.record({ changes, damage: damages }, { requiredKeys: ["changes"] });
const flagNames = fc.constantFrom<Text>("-id", "-bundle", "-address", "-namespace", "-publish-binary", "-debug", "-x");

const commands: fc.Arbitrary<ShimCommand> = fc.record(
  {
    action: fc.oneof(
      { weight: 6, arbitrary: fc.constant<Text>("start") },
      { weight: 3, arbitrary: fc.constant<Text>("delete") },
      { weight: 1, arbitrary: hostileName },
    ),
    flags: fc
      .record({
        namespace: usual<Text>("k8s.io", hostileName),
        address: usual<Text>("/run/containerd/containerd.sock", hostileName),
        id: usual<Text>("pod", fc.oneof(fc.constant("c1"), hostileName)),
        more: fc.oneof(
          { weight: 5, arbitrary: fc.constant([]) },
          { weight: 1, arbitrary: fc.array(fc.tuple(flagNames, hostileName), { maxLength: 2 }) },
        ),
      })
      .map(({ namespace, address, id, more }) => [
        ["-namespace", namespace],
        ["-address", address],
        ["-id", id],
        ...more,
      ]),
    env: fc.dictionary(
      fc.constantFrom("TTRPC_ADDRESS", "SCHED_CORE", "KUASAR_RUNC_SOCKET", "KUASAR_WASM_SOCKET", "GOMAXPROCS", "x"),
      hostileName,
      { maxKeys: 2, noNullPrototype: true },
    ),
    options: fc.oneof(optionInputs, fc.record({ bytes: hex(40) }), fc.record({ damage: damages })),
    config: documents,
    record: documents,
    clutter: fc.dictionary(
      fc.constantFrom("address", "log", "runtime", "options.json", "init.pid", "rootfs", ".address", "kuasar.json"),
      fc.oneof(
        fc.constant(null),
        fc.constantFrom("unix:///nonesuch", "/bin/true", "{}", '{"root": 1}', "null", "1e99", "unix://$BUNDLE/kept"),
        hostileName,
      ),
      { maxKeys: 2, noNullPrototype: true },
    ),
  },
  { requiredKeys: ["action", "flags", "env", "clutter"] },
);

/** The native shim's commands start and delete, in namespaces of their own, where nothing but they may be. */
export const start = fuzzTarget<ShimCommand>({
  name: "start",
  native: true,
  inputs: commands,
  async open() {
    const stage = await openShimStage();
    const world = await openWorld(stage);
    return {
      async feed(command) {
        const bundle = makeBundle(stage, command);
        const before = new Set(readdirSync(bundle));
        const done = await world.run(bundle, command);
        requireDecent(done, command.action);
        if (/^unix:/.test(String(done.stdout))) {
          // A log that cannot be opened ends the shim; of which containerd hears as of any end.
          if (command.clutter.log === null) await world.endAll();
          else await shutDown(world.inside(String(done.stdout).replace("unix://", "")));
        }
        await waitUntil(() => world.processes() === 0, { what: "the end of all processes", timeoutMs: 5_000 });
        const report = sanitizerReport(stage.scratch);
        if (report) throw new Error(report);
        if (done.status === 1 && world.sockets().length > 0) throw new Error("a socket is left of a refused start");
        const strange = readdirSync(bundle).filter((name) => !before.has(name) && !WRITTEN.has(name));
        if (strange.length > 0) throw new Error(`left in the bundle: ${strange.join(", ")}`);
        if (!existsSync(join(bundle, "kept"))) throw new Error("a file that is no socket was removed");
        for (const socket of world.sockets()) rmSync(world.inside(`/run/containerd/s/${socket}`));
      },
      async close() {
        await world.close();
        await stage.close();
      },
    };
  },
});

const WRITTEN = new Set(["address", "kuasar.json"]);

function makeBundle(stage: ShimStage, { config, record, clutter }: ShimCommand): string {
  const bundle = join(stage.scratch, "bundles", "pod");
  rmSync(bundle, { recursive: true, force: true });
  mkdirSync(bundle, { recursive: true });
  writeFileSync(join(bundle, "kept"), "");
  const text = (document: unknown, { changes: list, damage }: NonNullable<ShimCommand["config"]>) => {
    const bytes = Buffer.from(JSON.stringify(changed(document, list)));
    return damage ? damaged(bytes, damage) : bytes;
  };
  if (config) writeFileSync(join(bundle, "config.json"), text(CONFIG, config));
  const ours = { ...RECORD, socket: stage.socket };
  if (record) writeFileSync(join(bundle, "kuasar.json"), text(ours, record));
  for (const [name, content] of Object.entries(clutter)) {
    const path = join(bundle, name);
    rmSync(path, { recursive: true, force: true });
    if (content === null) mkdirSync(path);
    else writeFileSync(path, textOf(content).replace("$BUNDLE", bundle));
  }
  return bundle;
}

function encoded(stage: ShimStage, options: ShimCommand["options"]): Uint8Array {
  if (!options) return stage.options();
  if ("bytes" in options) return Buffer.from(options.bytes, "hex");
  if ("typeUrl" in options) return encodeOptions(options, join(stage.scratch, "options.toml"));
  return damaged(stage.options(), options.damage);
}

/** What the kernel takes as an argument. */
const argument = (text: Text) => textOf(text).replaceAll("\0", "").slice(0, 30_000);

/** Mounts, processes and cgroups' names of their own; what is left in it goes with it. */
async function openWorld(stage: ShimStage) {
  const folder = "/run/containerd";
  const script = `mkdir -p ${folder} && mount -t tmpfs none ${folder} && mkdir ${folder}/s && exec sleep infinity`;
  const unshare = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script];
  const outside = spawn("unshare", unshare, { stdio: "ignore" });
  const first = await waitUntil(
    () => {
      const child = readFileSync(`/proc/${outside.pid}/task/${outside.pid}/children`, "utf8").trim();
      return child && readFileSync(`/proc/${child}/cmdline`, "utf8").startsWith("sleep") ? child : undefined;
    },
    { what: "namespaces for the shim's commands", timeoutMs: 10_000 },
  );
  const enter = ["--target", first, "--mount", "--pid", "--"];
  const inside = (path: string) => `/proc/${first}/root${path}`;
  const pids = () => {
    const all = readdirSync(inside("/proc")).filter((name) => /^[0-9]+$/.test(name) && name !== "1");
    return all.filter((pid) => {
      try {
        return !/^State:\s+[ZX]/m.test(readFileSync(inside(`/proc/${pid}/status`), "utf8"));
      } catch {
        // It has just ended.
        return false;
      }
    });
  };
  return {
    inside,
    processes: () => pids().length,
    sockets: () => readdirSync(inside(`${folder}/s`)),
    endAll: () => runToEnd([...enter, "kill", "-9", ...pids()], process.env, new Uint8Array(0)),
    run(bundle: string, { action, flags, env, options }: ShimCommand) {
      const args = [...flags.flat(), action].map(argument);
      const texts = Object.entries(env).map(([name, value]) => [name, argument(value)]);
      // By name, since a working directory does not come along into other mounts.
      const program = ["sh", "-c", 'cd "$0" && exec "$@"', bundle, nativeProgram(SHIM)];
      const whole = { ...stage.env, ...Object.fromEntries(texts) };
      return runToEnd([...enter, ...program, ...args], whole, encoded(stage, options));
    },
    async close() {
      outside.kill("SIGKILL");
      if (outside.exitCode === null && outside.signalCode === null) await once(outside, "exit");
    },
  };
}

interface Done {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** Beside it this process goes on, which has the sandboxer. */
async function runToEnd(args: readonly string[], env: NodeJS.ProcessEnv, input: Uint8Array): Promise<Done> {
  const child = spawn("nsenter", args, { env, timeout: 10_000, killSignal: "SIGKILL" });
  const texts = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  child.stdout.on("data", (bytes) => texts.stdout.push(bytes));
  child.stderr.on("data", (bytes) => texts.stderr.push(bytes));
  // One that refuses its arguments need not read what else there is.
  child.stdin.on("error", () => undefined).end(input);
  const [status, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return { status, signal, stdout: Buffer.concat(texts.stdout), stderr: Buffer.concat(texts.stderr) };
}

const ADDRESS = /^unix:\/\/\/run\/containerd\/s\/[0-9a-f]{64}$/;
const INFORMATION = /^(Usage: |[^\n]*:\n {2}Version: )/;
const ENGINE_FAULT = /is not a function|is not iterable|annot read propert|undefined|\[object|Error:|\n {4}at /;

/** Either an answer and no complaint, or a refusal in one line. */
function requireDecent({ status, signal, stdout, stderr }: Done, action: Text): void {
  const complaint = stderr.toString();
  const told = `exit status ${status}, signal ${signal}: ${complaint.slice(0, 500)}`;
  if (ENGINE_FAULT.test(complaint)) throw new Error(`no clear words: ${told}`);
  if (status === 1) {
    const [line = "", ...more] = complaint.trimEnd().split("\n");
    // What a delete could not do before it gave up is told of, too.
    const mayGoOn = action === "delete" || more.some((text) => text.startsWith("Usage: "));
    if (stdout.length > 0 || line === "" || (more.length > 0 && !mayGoOn))
      throw new Error(`no refusal in a line: ${told}`);
    return;
  }
  if (status !== 0) throw new Error(told);
  if (ADDRESS.test(stdout.toString()) || INFORMATION.test(stdout.toString())) return;
  const { exitStatus } = containerd.task.v2.DeleteResponse.decode(stdout);
  if (exitStatus !== 137) throw new Error(`no answer: ${stdout.toString("hex").slice(0, 200)}`);
}

async function shutDown(socket: string): Promise<void> {
  const peer = new FramePeer(await connect(socket, { timeoutMs: 5_000 }));
  const { code, message } = await peer.call(CONNECT);
  if (code !== 0) throw new Error(`the shim does not serve: code ${code} ${message}`);
  const { name, input } = TaskService.methods.shutdown;
  await peer.call({ service: TaskService.name, method: name, payload: input.encode({ id: "pod", now: true }) });
  peer.close();
}
