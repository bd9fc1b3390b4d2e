import type { Platform } from "./sandboxer.ts";

const GO_ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386", ppc64: "ppc64le" };

/** This host, in the words of Go and of OCI images. */
export function goPlatform(): Platform {
  return { os: "linux", architecture: GO_ARCHITECTURES[process.arch] ?? process.arch };
}
