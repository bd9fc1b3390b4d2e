import { Command } from "commander";
import { demo, demoDown } from "./demo.ts";
import { doctor } from "./doctor.ts";
import { type ExecOptions, exec } from "./exec.ts";
import { type GuestImageOptions, writeGuestImage } from "./guest-image.ts";
import { type InstallOptions, install, uninstall } from "./installation.ts";

const program = new Command("kuasar")
  .description("Kuasar sandboxers for an unmodified containerd 1.7")
  .version("0.1.0")
  .showHelpAfterError()
  .enablePositionalOptions();

program
  .command("demo")
  .description("run a pod through every sandboxer and engine this machine can have, with a private containerd")
  .option("--keep", "leave everything running", false)
  .option("--down", "take down what an earlier --keep has left", false)
  .action(async ({ keep, down }: { keep: boolean; down: boolean }) => {
    if (down) await demoDown();
    else if (!(await demo({ keep }))) process.exitCode = 1;
  });

program
  .command("doctor")
  .description("say what this machine has and lacks")
  .action(async () => {
    if (!(await doctor())) process.exitCode = 1;
  });

program
  .command("guest-image")
  .description(
    "make the kernel and the initial ramdisk that virtual machines boot (vmlinux and initrd.img), and modules for them",
  )
  .option("--output <folder>", "where they go", "/usr/local/lib/kuasar/guest")
  .option("--kernel <file>", "a kernel of your own, with --modules; else Debian's for the cloud is fetched")
  .option("--modules <folder>", "that kernel's lib/modules/RELEASE")
  .option("--oci-runtime <program>", "what runs containers in the guest: crun or runc", "crun")
  .action(async (options: GuestImageOptions) => {
    for (const line of await writeGuestImage(options)) process.stdout.write(`${line}\n`);
  });

program
  .command("exec")
  .description("run a command, or a shell, in the virtual machine of a pod, beside its containers")
  .argument("<pod>", "its id, the beginning of that, or its name")
  .argument("[command...]", "the command and its arguments; without them a shell")
  .option("--socket <path>", "where the sandboxer listens; without it all at their usual places are asked")
  .option("--shell <file>", "a static program to bring along as the shell; without it a static busybox of this machine")
  .passThroughOptions()
  .action(async (pod: string, command: string[], options: ExecOptions) => {
    process.exitCode = await exec(pod, command, options);
  });

for (const [name, action, description] of [
  ["install", install, "install the programs and the sandboxers' systemd units, and print the config.toml to paste"],
  ["uninstall", uninstall, "remove what install brought"],
] as const) {
  program
    .command(name)
    .description(description)
    .option("--prefix <folder>", "where programs go", "/usr/local")
    .option("--unit-dir <folder>", "where systemd units go", "/etc/systemd/system")
    .option("--dry-run", "only say what would be done", false)
    .action((options: InstallOptions) => action(options));
}

program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`kuasar: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
