import { readFile } from "node:fs/promises";
import { execa } from "execa";
import type { LabParts } from "../parts.mjs";
import type { OciImage } from "./oci-image.ts";
import type { TarEntry } from "./tar-archive.ts";

export const busyboxReference = "docker.io/library/busybox:kuasar";
export const pauseReference = "docker.io/library/pause:kuasar";

/** A small userland made of the static busybox: every applet as a link in /bin. */
export async function busyboxImage(parts: LabParts): Promise<OciImage> {
  const { stdout } = await execa(parts.busybox, ["--list"]);
  const applets = stdout.split("\n").filter((name) => name && name !== "busybox");
  const directories = ["bin", "dev", "etc", "proc", "root", "run", "sys", "var"];
  return {
    reference: busyboxReference,
    env: ["PATH=/bin"],
    cmd: ["sh"],
    rootfs: [
      ...directories.map((path): TarEntry => ({ path, type: "directory" })),
      { path: "tmp", type: "directory", mode: 0o1777 },
      { path: "etc/passwd", type: "file", content: Buffer.from("root:x:0:0:root:/root:/bin/sh\n") },
      { path: "etc/group", type: "file", content: Buffer.from("root:x:0:\n") },
      { path: "bin/busybox", type: "file", content: await readFile(parts.busybox), mode: 0o755 },
      ...applets.map((name): TarEntry => ({ path: `bin/${name}`, type: "symlink", target: "busybox" })),
    ],
  };
}

/** containerd wants a pause image in its default CRI mode, whether the sandbox runs it (runc's shim) or not (ours). */
export async function pauseImage(parts: LabParts): Promise<OciImage> {
  return {
    reference: pauseReference,
    entrypoint: ["/catatonit", "-P"],
    rootfs: [{ path: "catatonit", type: "file", content: await readFile(parts.catatonit), mode: 0o755 }],
  };
}
