import { invalidArgument } from "../error/sandbox-error.ts";
import { quote } from "../identifier/identifier.ts";

/**
 * The path of a cgroup, from the `cgroupsPath` of an OCI spec: a plain path, or `slice:prefix:name` as it is given to
 * the systemd driver. "" if the spec names none. INVALID_ARGUMENT for a path that leaves the hierarchy.
 */
export function resolveCgroupsPath(cgroupsPath: string): string {
  if (cgroupsPath === "") {
    return "";
  }
  const parts = cgroupsPath.split(":");
  if (parts.length === 3) {
    const [slice = "", prefix = "", name = ""] = parts;
    if (`${slice}${prefix}${name}`.includes("/") || name === "") {
      throw invalidArgument(`cgroupsPath ${quote(cgroupsPath)} must be slice:prefix:name`);
    }
    const unit = prefix === "" ? `${name}.scope` : `${prefix}-${name}.scope`;
    return `${expandSlice(slice === "" ? "system.slice" : slice)}/${unit}`;
  }
  if (cgroupsPath.split("/").includes("..") || cgroupsPath.includes("\0")) {
    throw invalidArgument(`cgroupsPath ${quote(cgroupsPath)} must not contain ".."`);
  }
  return `/${cgroupsPath.split("/").filter(Boolean).join("/")}`;
}

/**
 * `a-b-c.slice` is /a.slice/a-b.slice/a-b-c.slice, and `-.slice` the root.
 * https://www.freedesktop.org/software/systemd/man/latest/systemd.slice.html
 */
export function expandSlice(slice: string): string {
  if (!slice.endsWith(".slice") || slice.includes("/")) {
    throw invalidArgument(`${quote(slice)} is not the name of a systemd slice`);
  }
  const name = slice.slice(0, -".slice".length);
  if (name === "-") {
    return "";
  }
  let path = "";
  let prefix = "";
  for (const component of name.split("-")) {
    if (component === "") {
      throw invalidArgument(`${quote(slice)} is not the name of a systemd slice`);
    }
    prefix = prefix === "" ? component : `${prefix}-${component}`;
    path += `/${prefix}.slice`;
  }
  return path;
}

/** The pod's cgroup below a parent, as containerd's CRI plugin names it (`getCgroupsPath`). */
export function podCgroupsPath(parent: string, id: string): string {
  if (parent === "") {
    return "";
  }
  const base = parent.split("/").filter(Boolean).at(-1) ?? "";
  return base.endsWith(".slice") ? `${base}:cri-containerd:${id}` : `${parent.replace(/\/+$/, "")}/${id}`;
}
