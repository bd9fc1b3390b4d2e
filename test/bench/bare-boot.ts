import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { cpioArchive } from "@kuasar/install/cpio-archive";
import { processorTime } from "@kuasar/install/process-table";
import type { VmmConfig } from "@kuasar/vmm-sandboxer/config";
import type { Hypervisor } from "@kuasar/vmm-sandboxer/hypervisor/hypervisor";
import { DISPENSABLE_PARAMETERS } from "@kuasar/vmm-sandboxer/hypervisor/qemu/command-line";

const SAID = "the first process runs";

export interface BareBoot {
  /** From the start of QEMU until the kernel's first process has said something. */
  boot(): Promise<Boot>;
  close(): void;
}

export interface Boot {
  readonly ms: number;
  /** Of QEMU's, in milliseconds: what another load of the machine changes less. */
  readonly processorMs: number;
}

export interface BareBootOptions {
  readonly hypervisor: Hypervisor;
  readonly config: VmmConfig;
  readonly kernel: string;
  /** Without what we have the kernel told so that it boots sooner. */
  readonly asItComes: boolean;
  /** A static one. */
  readonly busybox: string;
}

/** The machine of a pod with nothing in it: no share, no network, and an initial ramdisk with one program. */
export function createBareBoot({ hypervisor, config, kernel, asItComes, busybox }: BareBootOptions): BareBoot {
  const directory = mkdtempSync(join(tmpdir(), "kuasar-bare-boot-"));
  const initrd = join(directory, "initrd.img");
  const init = `#!/bin/busybox sh\necho ${SAID}\n/bin/busybox poweroff -f\n`;
  writeFileSync(
    initrd,
    cpioArchive([
      { path: "dev/console", mode: 0o020600, device: [5, 1] },
      { path: "bin/busybox", mode: 0o100755, content: readFileSync(busybox) },
      { path: "init", mode: 0o100755, content: Buffer.from(init) },
    ]),
  );
  const { argv } = hypervisor.launch({
    name: "bare",
    directory,
    kernel,
    initrd,
    kernelParameters: ["rdinit=/init"],
    vcpus: config.vcpus,
    memoryMiB: config.memory_in_mb,
    largest: { vcpus: config.vcpus, memoryMiB: config.memory_in_mb },
    interfaces: [],
    shares: [],
  });
  const left = new Set(asItComes ? DISPENSABLE_PARAMETERS : []);
  const withoutThem = (words: string) =>
    words
      .split(" ")
      .filter((word) => !left.has(word))
      .join(" ");
  const [program = "", ...args] = argv.map((word, i) => (argv[i - 1] === "-append" ? withoutThem(word) : word));
  return {
    async boot() {
      const begin = performance.now();
      // The guest's console is QEMU's standard output.
      const machine = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
      const ended = once(machine, "exit");
      const said = await untilSaid(machine.stdout, SAID);
      const ms = performance.now() - begin;
      const processorMs = processorTime(machine.pid ?? 0);
      await ended;
      if (!said) throw new Error("the bare machine ended before its first process ran");
      return { ms, processorMs };
    },
    close: () => rmSync(directory, { recursive: true }),
  };
}

/** Whether the text has come before the output's end; what follows is read, too. */
function untilSaid(output: Readable, text: string): Promise<boolean> {
  let got = "";
  return new Promise((resolve) => {
    output.on("data", (bytes: Buffer) => {
      got += bytes.toString("latin1");
      if (got.includes(text)) resolve(true);
    });
    output.on("end", () => resolve(false));
  });
}
