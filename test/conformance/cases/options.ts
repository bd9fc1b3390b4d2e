import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cgroupHierarchies, removeCgroup } from "@kuasar/install/cgroup-tree";
import { waitUntil } from "@kuasar/install/wait-until";
import type { ConformanceCase } from "../conformance-case.ts";
import type { RuncOptionNames, RuncOptionsForm } from "../runc-option-names.ts";
import type { Trial } from "../trial.ts";

const forms: readonly RuncOptionsForm[] = ["own", "generic", "client"];

const formNames: Readonly<Record<RuncOptionsForm, string>> = {
  own: "as runc's own",
  generic: "within the generic ones",
  client: "as containerd's client gives them",
};

/** The same options in each form that a shim may be given them in. */
function inEachForm(
  name: string,
  run: (trial: Trial, with_: (options: RuncOptionNames) => WithOptions) => Promise<void>,
  of = forms,
): ConformanceCase[] {
  return of.map((runcOptionsForm) => ({
    name: `options: ${name}, ${formNames[runcOptionsForm]}`,
    run: (trial) => run(trial, (runcOptions) => ({ runcOptions, runcOptionsForm })),
  }));
}

interface WithOptions {
  readonly runcOptions: RuncOptionNames;
  readonly runcOptionsForm: RuncOptionsForm;
}

async function output(trial: Trial, script: string, options: WithOptions): Promise<string> {
  const stdio = await trial.runToEnd({ args: ["sh", "-c", script], ...options });
  await stdio.stdout.end(5000);
  return stdio.stdout.text;
}

/** A program that calls runc, and leaves a trace of it. */
function wrapper(trial: Trial, before: string): string {
  mkdirSync(trial.scratch, { recursive: true });
  const path = join(trial.scratch, "runc-wrapper");
  writeFileSync(path, `#!/bin/sh\n${before}\nexec ${trial.stage.lab.containerd.parts.runc} "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

/** Processes of that name in the cgroup of each hierarchy that the runc shim would put itself in. */
function shimsIn(cgroup: string): string[] {
  const v1 = cgroupHierarchies().filter((root) => !root.endsWith("/unified"));
  return v1.map((root) => {
    const pids = readFileSync(join(root, cgroup, "cgroup.procs"), "utf8")
      .split("\n")
      .filter(Boolean);
    const names = pids.map((pid) => readFileSync(`/proc/${pid}/comm`, "utf8").trim());
    return `${root.split("/").at(-1)}: ${names.filter((name) => name.startsWith("containerd-shim")).length}`;
  });
}

export const optionsCases: readonly ConformanceCase[] = [
  ...inEachForm("the owner of stdio", async (trial, with_) => {
    const script = "stat -L -c %u:%g /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2";
    const args = ["sh", "-c", script];
    const stdio = await trial.runToEnd({ args, stdio: { stdin: true }, ...with_({ IoUid: 7, IoGid: 8 }) });
    await stdio.stdout.end(5000);
    trial.note("owners", stdio.stdout.text);
  }),
  ...inEachForm("no pivot_root", async (trial, with_) => {
    trial.note("root", await output(trial, "ls /; readlink /proc/1/root", with_({ NoPivotRoot: true })));
  }),
  ...inEachForm("no keyring of its own", async (trial, with_) => {
    const keyring = `grep -q _ses.${trial.id} /proc/keys && echo its own`;
    // In this order: a keyring stays for a while after its container.
    trial.note("without", await output(trial, keyring, with_({ NoNewKeyring: true })));
    await trial.delete();
    await trial.stage.api.containers.delete({ id: trial.id });
    trial.note("with one", await output(trial, keyring, with_({})));
  }),
  ...inEachForm(
    "runc's root, and a script in runc's place",
    async (trial, with_) => {
      const trace = join(trial.scratch, "calls");
      const root = join(trial.scratch, "root");
      const program = wrapper(trial, `echo "$@" | grep -o -w -e create -e exec >> ${trace}`);
      await trial.run(with_({ BinaryName: program, Root: root }));
      trial.note("state", JSON.parse(readFileSync(stateFile(trial, root), "utf8")).id);
      const stdio = await trial.exec("e1", ["echo", "from an exec"]);
      await stdio.stdout.end(5000);
      await trial.wait("e1");
      trial.note("output", stdio.stdout.text);
      trial.note("calls", readFileSync(trace, "utf8"));
    },
    ["own", "generic"],
  ),
  ...inEachForm("the shim's cgroup", async (trial, with_) => {
    const cgroup = `/${trial.stage.lab.containerd.ctrNamespace}-shims`;
    for (const root of cgroupHierarchies()) mkdirSync(join(root, cgroup), { recursive: true });
    for (const root of cgroupHierarchies().filter((path) => path.endsWith("/cpuset"))) {
      for (const file of ["cpuset.cpus", "cpuset.mems"]) {
        writeFileSync(join(root, cgroup, file), readFileSync(join(root, file)));
      }
    }
    try {
      await trial.run(with_({ ShimCgroup: cgroup }));
      trial.note("shims", shimsIn(cgroup));
      await trial.kill(9);
      await trial.wait();
      await trial.delete();
    } finally {
      const removed = () => {
        removeCgroup(cgroup);
        return true;
      };
      await waitUntil(() => attempt(removed), { what: `${cgroup} to be empty`, timeoutMs: 10_000 });
    }
  }),
  ...inEachForm("a shim's cgroup that is not there", async (trial, with_) => {
    await trial.create(with_({ ShimCgroup: "/no/such/cgroup" }));
    await trial.state();
  }),
  ...inEachForm(
    "cgroups by systemd, which does not run here",
    async (trial, with_) => {
      await trial.create(with_({ SystemdCgroup: true }));
      await trial.state();
    },
    ["own", "generic"],
  ),
  {
    name: "exec: is being started when init ends",
    async run(trial) {
      mkdirSync(trial.scratch, { recursive: true });
      const [ready, go] = [join(trial.scratch, "ready"), join(trial.scratch, "go")];
      const slow = `case " $* " in *" exec "*) touch ${ready}; while [ ! -e ${go} ]; do sleep 0.02; done;; esac`;
      await trial.run({ runcOptions: { BinaryName: wrapper(trial, slow) } });
      await trial.addExec("e1", { args: ["sleep", "1000"] });
      const started = trial.tasks.start({ containerId: trial.id, execId: "e1" });
      started.catch(() => undefined);
      await waitUntil(() => attempt(() => readFileSync(ready) !== undefined), { what: "runc exec", timeoutMs: 10_000 });
      const ended = trial.waitInBackground();
      await trial.kill(9);
      trial.note("is told of its exit", await trial.stage.events.saw(trial.id, "/tasks/exit", 500));
      await trial.state();
      writeFileSync(go, "");
      await trial.call("start [e1]", started);
      await ended("wait");
      await trial.state();
      await trial.state("e1");
    },
  },
];

function stateFile(trial: Trial, root: string): string {
  return join(root, trial.stage.lab.containerd.ctrNamespace, trial.id, "state.json");
}

function attempt(action: () => boolean): boolean {
  try {
    return action();
  } catch {
    return false;
  }
}
