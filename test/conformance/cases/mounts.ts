import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { containerd } from "@kuasar/proto/services";
import type { ConformanceCase } from "../conformance-case.ts";
import type { Trial } from "../trial.ts";

type Mount = containerd.types.IMount;

/** What a container sees of its root: how it is mounted, and what a script says. */
async function look(trial: Trial, rootfs: readonly Mount[], script: string): Promise<void> {
  const args = ["sh", "-c", `awk '$2 == "/" { print $3, $4 }' /proc/mounts | grep -o -w -e ro -e rw; ${script}`];
  const stdio = await trial.create({ args, stdio: true, rootfs });
  const ended = trial.waitInBackground();
  await trial.start();
  await ended("wait");
  await stdio?.stdout.end(5000);
  trial.note("output", stdio?.stdout.text);
}

function bind(trial: Trial, ...options: string[]): Mount {
  return { type: "bind", source: trial.stage.rootfs, options: ["rbind", ...options] };
}

function folders(trial: Trial, ...names: string[]): string[] {
  return names.map((name) => {
    const folder = join(trial.scratch, name);
    mkdirSync(folder, { recursive: true });
    return folder;
  });
}

/** An overlay with as many layers, each in a folder whose name has as many characters. */
function layered(trial: Trial, count: number, nameLength: number): Mount {
  const [upper = "", work = ""] = folders(trial, "upper", "work");
  const layers = Array.from({ length: count }, (_, index) => `layers/${String(index).padStart(nameLength, "x")}`);
  const made = folders(trial, ...layers);
  for (const [index, layer] of made.entries()) writeFileSync(join(layer, `file-${index}`), `${index}\n`);
  const lowerdir = [...made, trial.stage.rootfs].join(":");
  return {
    type: "overlay",
    source: "overlay",
    options: [`workdir=${work}`, `upperdir=${upper}`, `lowerdir=${lowerdir}`],
  };
}

export const mountCases: readonly ConformanceCase[] = [
  {
    name: "rootfs: read-only",
    run: (trial) => look(trial, [bind(trial, "ro")], "touch /tmp/x && touch /x; true"),
  },
  {
    name: "rootfs: with flags, and private",
    run: (trial) =>
      look(
        trial,
        [bind(trial, "rw", "nosuid", "nodev", "noatime")],
        "grep ' / ' /proc/self/mounts | tail -1 | cut -d ' ' -f 4",
      ),
  },
  {
    name: "rootfs: an overlay with few layers",
    run: (trial) => look(trial, [layered(trial, 3, 4)], "cat /file-0 /file-2; echo new > /new && cat /new"),
  },
  {
    name: "rootfs: an overlay with more options than a page holds, in one folder",
    run: (trial) => look(trial, [layered(trial, 60, 40)], "cat /file-0 /file-59"),
  },
  {
    name: "rootfs: an overlay with more options than a page holds, whatever is done",
    run: (trial) => look(trial, [layered(trial, 60, 200)], "cat /file-0"),
  },
  {
    name: "rootfs: another mount below the first",
    async run(trial) {
      const [data = ""] = folders(trial, "data");
      writeFileSync(join(data, "hello"), "below\n");
      const below = { type: "bind", source: data, target: "/var", options: ["rbind", "ro"] };
      await look(trial, [bind(trial, "rw"), below], "cat /var/hello; touch /var/x 2>/dev/null || echo read-only");
    },
  },
  {
    name: "rootfs: another mount below the first, whose place is a link out of it",
    async run(trial) {
      const [data = "", upper = "", work = ""] = folders(trial, "data", "upper", "work");
      writeFileSync(join(data, "hello"), "below\n");
      symlinkSync(join(trial.scratch, "outside"), join(upper, "link"));
      folders(trial, "outside", join("upper", trial.scratch, "outside"));
      const options = [`workdir=${work}`, `upperdir=${upper}`, `lowerdir=${trial.stage.rootfs}`];
      const below = { type: "bind", source: data, target: "/link", options: ["rbind"] };
      await look(trial, [{ type: "overlay", source: "overlay", options }, below], "cat /link/hello");
    },
  },
  {
    name: "rootfs: the second mount fails, and the first is undone",
    async run(trial) {
      const below = { type: "bind", source: "/no/such/source", target: "/var", options: ["rbind"] };
      await trial.create({ rootfs: [bind(trial, "rw"), below] });
      await trial.state();
      await trial.stage.api.containers.delete({ id: trial.id });
      await trial.create();
    },
  },
  {
    name: "rootfs: mounted by a FUSE helper",
    async run(trial) {
      trial.stage.program("mount.fuse3", `[ "$7 $8" = "-t test-fs" ] && mount --rbind -o "$4" "$1" "$2"`);
      const mount = { type: "fuse3.test-fs", source: trial.stage.rootfs, options: ["rw", "nodev"] };
      await look(trial, [mount], "echo in");
    },
  },
  {
    name: "rootfs: mounted by a FUSE helper that fails",
    async run(trial) {
      trial.stage.program("mount.fuse", "echo no such layer >&2; exit 4");
      await trial.create({ rootfs: [{ type: "fuse.test-fs", source: "x", options: ["rw"] }] });
      await trial.state();
    },
  },
];
