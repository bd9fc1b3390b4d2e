import { existsSync } from "node:fs";
import { connect } from "node:net";
import { release } from "node:os";
import Table from "cli-table3";
import { execa } from "execa";
import { findProgram } from "../parts/system-packages.mjs";
import { cgroupMode } from "./cgroup-tree.ts";
import { type Check, type Diagnosis, note, ok, problem } from "./diagnosis.ts";
import { machineChecks } from "./doctor-machines.ts";
import { shimProgram } from "./programs.ts";
import { sandboxerKinds } from "./sandboxer-kinds.ts";

/** Prints what this machine has and lacks for pods through kuasar. Returns whether they can run. */
export async function doctor(): Promise<boolean> {
  const table = new Table({
    head: ["", "what", "found"],
    colWidths: [9, null, 76],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  let healthy = true;
  for (const check of checks) {
    const { grade, found } = await check.examine();
    if (grade === "problem") healthy = false;
    table.push([grade, check.what, found]);
  }
  process.stdout.write(`${table.toString()}\n`);
  return healthy;
}

const checks: readonly Check[] = [
  { what: "kernel", examine: kernel },
  { what: "containerd", examine: containerd },
  {
    what: "shim",
    examine: () => {
      const path = findProgram(shimProgram);
      return path ? ok(path) : problem(`${shimProgram} is on no PATH folder: kuasar install`);
    },
  },
  ...sandboxerKinds.map(({ program, socket, directory, missing }) => ({
    what: program,
    examine: async () => {
      if (await answers(socket)) return ok(`answers at ${socket}`);
      const lacks = missing?.() ?? [];
      if (lacks.length > 0) return note(`does not run here; it needs ${lacks.join(", ")}`);
      return problem(`nobody answers at ${socket}; start it: ${program} --listen ${socket} --dir ${directory}`);
    },
  })),
  {
    what: "control groups",
    examine: () => {
      const mode = cgroupMode();
      if (mode === "none") return problem("no control group hierarchy is mounted");
      return mode === "hybrid" ? note("hybrid (v1 and v2 at once): runc runs, crun does not") : ok(mode);
    },
  },
  engine("runc", true),
  engine("crun", false),
  engine("wasmedge", false),
  engine("wasmtime", false),
  {
    what: "pause program",
    examine: () => {
      const path = findProgram("catatonit");
      return path ? ok(path) : problem("catatonit is not installed: pods need it (package catatonit)");
    },
  },
  ...machineChecks,
];

/** clone3 into a cgroup, which the pause process is born into on cgroup v2, is there since this kernel (docs/kernels.md). */
const oldestKernel = [5, 7] as const;

function kernel(): Diagnosis {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  const [needMajor, needMinor] = oldestKernel;
  const enough = major > needMajor || (major === needMajor && minor >= needMinor);
  return enough ? ok(release()) : note(`${release()}: pods need Linux ${oldestKernel.join(".")} or later`);
}

async function containerd(): Promise<Diagnosis> {
  const path = findProgram("containerd");
  if (!path) return problem("containerd is not installed");
  const { stdout } = await execa(path, ["--version"]);
  const version = /\bv?(\d+)\.(\d+)\.\d+/.exec(stdout);
  const [number = "an unknown version", major, minor] = version ?? [];
  const suits = (major === "1" && minor === "7") || major === "2";
  return suits ? ok(`${number} at ${path}`) : problem(`${number} at ${path}; expected 1.7 or later`);
}

function engine(program: string, required: boolean): Check {
  return {
    what: program,
    async examine() {
      const path = findProgram(program);
      if (!path) return (required ? problem : note)(`${program} is not installed`);
      const { stdout } = await execa(path, ["--version"]);
      return ok(`${stdout.split("\n")[0]} at ${path}`);
    },
  };
}

function answers(path: string): Promise<boolean> {
  if (!existsSync(path)) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
