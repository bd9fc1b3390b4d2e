import { containerd } from "@kuasar/proto/containerd";
import type { ConformanceCase } from "../conformance-case.ts";
import type { TaskOptions, Trial } from "../trial.ts";

const runcOptions = containerd.runc.v1.Options;

/** A Create that is refused, what is there then, and whether the id can be used again. */
function refused(name: string, options: TaskOptions): ConformanceCase {
  return {
    name: `create: ${name}`,
    async run(trial) {
      await trial.create(options);
      await trial.start();
      await trial.state();
      await trial.delete();
      await again(trial);
    },
  };
}

async function again(trial: Trial): Promise<void> {
  await trial.stage.api.containers.delete({ id: trial.id });
  await trial.container({ args: ["true"] });
  await trial.createTask({ args: ["true"] }, "create again");
  await trial.state();
}

export const createCases: readonly ConformanceCase[] = [
  {
    name: "create: a container that is run and removed",
    async run(trial) {
      await trial.create({ stdio: { stdin: true } });
      await trial.state();
      const ended = trial.waitInBackground();
      await trial.start();
      await trial.state();
      await trial.kill(9);
      await ended("wait");
      await trial.state();
      await trial.delete();
      await trial.state();
    },
  },
  {
    name: "create: with a rootfs path in place of mounts",
    async run(trial) {
      await trial.runToEnd({ args: ["true"], rootPath: trial.stage.rootfs });
    },
  },
  {
    name: "create: an id that is taken",
    async run(trial) {
      await trial.run();
      await trial.createTask({}, "create again");
      await trial.state();
    },
  },
  {
    name: "create: no stdio at all",
    async run(trial) {
      await trial.create({ args: ["sh", "-c", "readlink /proc/self/fd/0 | grep -q null && exit 5"] });
      const ended = trial.waitInBackground();
      await trial.start();
      await ended("wait");
      await trial.delete();
    },
  },
  {
    name: "create: options with the runtime's root and another program",
    async run(trial) {
      await trial.runToEnd({ args: ["true"], runcOptions: { Root: trial.scratch, BinaryName: "runc" } });
    },
  },
  refused("a rootfs path that is not there", { rootPath: "/no/such/rootfs" }),
  refused("a rootfs mount whose source is not there", {
    rootfs: [{ type: "bind", source: "/no/such/source", options: ["rbind"] }],
  }),
  refused("a rootfs mount of a type that is not there", { rootfs: [{ type: "nosuchfs", source: "x", options: [] }] }),
  refused("no rootfs mount and an empty rootfs", { rootfs: [] }),
  refused("options of an unknown type", { options: { typeUrl: "no.such.Options", value: new Uint8Array([1]) } }),
  refused("options whose bytes are damaged", {
    options: { typeUrl: runcOptions.typeName, value: new Uint8Array([0x0a, 0xff]) },
  }),
  refused("options with a runtime program that is not there", {
    runcOptions: { BinaryName: "/no/such/runc" },
  }),
  refused("a program that is not there", { args: ["/no/such/program"] }),
  refused("a program that is not in the path", { args: ["nosuchprogram"] }),
  refused("a program that may not be executed", { args: ["/etc/passwd"] }),
  refused("a program that is a directory", { args: ["/etc"] }),
  refused("a working directory that is a file", { cwd: "/etc/passwd" }),
  refused("a relative working directory", { cwd: "etc" }),
  refused("a spec without a process", { noProcess: true }),
  refused("a spec without arguments", { args: [] }),
  refused("a spec that is no JSON", { specText: "{" }),
  refused("a spec that is an empty object", { specText: "{}" }),
  refused("a terminal in the spec that the request does not have", { terminal: true }),
  refused("a terminal in the request that the spec does not have", { terminalWithoutStdio: true }),
  {
    name: "create: a terminal without streams",
    run: async (trial) => void (await trial.create({ terminal: true, terminalWithoutStdio: true })),
  },
  refused("a hook that fails", { hooks: { prestart: [{ path: "/bin/false" }] } }),
  refused("stdio paths that are not there", {
    paths: { stdin: "/no/such/stdin", stdout: "/no/such/stdout", stderr: "/no/such/stderr" },
  }),
  refused("a log URI of an unknown scheme", { paths: { stdout: "nosuch:///x", stderr: "nosuch:///x" } }),
  {
    name: "create: a working directory that is not there is made",
    async run(trial) {
      const stdio = await trial.runToEnd({ args: ["pwd"], cwd: "/tmp/new/folder" });
      await stdio.stdout.end(5000);
      trial.note("output", stdio.stdout.text);
    },
  },
];
