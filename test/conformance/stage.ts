import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "@kuasar/install/wait-until";
import { type Any, packAny } from "@kuasar/proto/any";
import { containerd, runtimeoptions } from "@kuasar/proto/containerd";
import { stringify } from "smol-toml";
import { footprint } from "../integration/footprint.ts";
import { Lab } from "../integration/lab.ts";
import type { RuntimeCase } from "../integration/runtime-case.ts";
import { type ContainerdApi, connectContainerd } from "./containerd-api.ts";
import { EventLog } from "./event-log.ts";
import type { RuncOptionNames, RuncOptionsForm } from "./runc-option-names.ts";

const image = "docker.io/library/busybox:kuasar";

/** A stock containerd with one of the two runtimes, for all cases. */
export class Stage {
  private constructor(
    readonly lab: Lab,
    readonly api: ContainerdApi,
    readonly events: EventLog,
    /** Our small userland, unpacked and mounted. */
    readonly rootfs: string,
    /** Whether all pids of a container are given one name. */
    readonly onePid: boolean,
  ) {}

  static async open(runtimeCase: RuntimeCase, onePid = false): Promise<Stage> {
    const lab = await Lab.start(runtimeCase);
    try {
      const api = connectContainerd(lab.containerd.layout.socket, lab.containerd.ctrNamespace);
      const events = await EventLog.open(api);
      const rootfs = join(lab.directory, "rootfs");
      mkdirSync(rootfs);
      const { snapshotter } = lab.containerd;
      await lab.containerd.ctr(["image", "mount", "--rw", "--snapshotter", snapshotter, image, rootfs]);
      return new Stage(lab, api, events, rootfs, onePid);
    } catch (error) {
      await lab.stop();
      throw error;
    }
  }

  /** The runtime, as a container's record names it. */
  get runtime() {
    const { type, sandboxer } = this.lab.runtimeCase;
    const { Options } = runtimeoptions.v1;
    const options = sandboxer ? packAny(Options, { configPath: this.lab.runtimeOptionsFile }) : null;
    return { name: type, options };
  }

  /** Puts a shell script where shims look for programs. */
  program(name: string, script: string): void {
    const path = join(this.lab.programs, name);
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, 0o755);
  }

  bundleOf(id: string): string {
    const { layout, ctrNamespace } = this.lab.containerd;
    return join(layout.state, "io.containerd.runtime.v2.task", ctrNamespace, id);
  }

  /** Runc's options for a task. The runc shim knows no form but its own. */
  packRuncOptions(names: RuncOptionNames | undefined, form: RuncOptionsForm): Any | null {
    if (!names) return null;
    const fields = Object.fromEntries(
      Object.entries(names).map(([name, value]) => [`${name.charAt(0).toLowerCase()}${name.slice(1)}`, value]),
    );
    if (!this.lab.runtimeCase.sandboxer || form === "own") return packAny(containerd.runc.v1.Options, fields);
    if (form === "client") return packAny(containerd.linux.runc.CreateOptions, fields);
    const socket = this.lab.sandboxer.options.socket;
    const configBody = Buffer.from(stringify({ socket, ...names }));
    return packAny(runtimeoptions.v1.Options, { configBody });
  }

  /**
   * What there is of pods now. Without shim sockets that nobody listens on: they lie in a folder of all containerds,
   * and may be another's.
   */
  async traces(): Promise<string[]> {
    const present = () => footprint(this.lab);
    // Another containerd's pods may go while this machine's are being counted.
    const lines = await waitUntil(present, { what: "a count of what there is", timeoutMs: 10_000 });
    return lines.filter((line) => !line.startsWith("socket without a listener"));
  }

  async close(): Promise<void> {
    this.api.close();
    const { snapshotter } = this.lab.containerd;
    await this.lab.containerd.ctr(["image", "unmount", "--rm", "--snapshotter", snapshotter, this.rootfs]);
    await this.lab.stop();
  }
}
