import "@kuasar/shim/platform/globals";
import { childCode } from "@kuasar/shim/child/child-code";
import { runChild } from "@kuasar/shim/platform/child-task";
import { writeKernelFile } from "@kuasar/shim/platform/files";
import { VERSION } from "@kuasar/shim/version";
import { holdPidNamespace, measureTscKhz, powerOff } from "guest";
import * as sys from "sys";
import { boot, bootParameter } from "./boot.ts";
import { loadRequested, requestedModule } from "./modprobe.ts";

/**
 * vmm-task: the first process of a pod's virtual machine; with --pause, that of its containers' pid namespace; called by
 * the kernel, it loads a module. Elsewhere it says what it is, or, with --tsc-khz, how fast the machine's time stamp
 * counter runs.
 */
function main(): never {
  if (sys.arguments()[1] === "--pause") holdPidNamespace();
  if (sys.getpid() !== 1) {
    const module = requestedModule(sys.arguments());
    if (module !== undefined) modprobe(module);
    const [, asked] = sys.arguments();
    say(
      1,
      asked === "--tsc-khz" ? `${measureTscKhz()}\n` : `vmm-task ${VERSION}: the first process of a virtual machine\n`,
    );
    sys.exit(0);
  }
  try {
    boot();
    sys.becomeServer(JSON.stringify({ channel: bootParameter("channel") ?? "virtio:kuasar" }));
  } catch (error) {
    // The console is what is looked at when a machine does not come up.
    say(2, `vmm-task: ${(error as Error).message}\n`);
    powerOff();
    sys.exit(1);
  }
}

/** The kernel has given it no stdio: what went wrong is in the kernel's own log. */
function modprobe(name: string): never {
  try {
    loadRequested(name);
    sys.exit(0);
  } catch (error) {
    writeKernelFile("/dev/kmsg", `vmm-task: module ${name}: ${(error as Error).message}\n`);
    sys.exit(1);
  }
}

function say(fd: number, text: string): void {
  const bytes = sys.encodeUtf8(text);
  sys.write(fd, bytes, 0, bytes.byteLength);
}

Object.assign(globalThis, { main, child: () => runChild(childCode) });
