/** Where all shims have their sockets: containerd's default state folder, whatever its configuration says. */
export const SOCKET_FOLDER = "/run/containerd/s";

/**
 * A shim's address, as runtime/v2/shim/util_unix.go makes it: the same for every container of a group.
 *
 * @param sha256 the digest of a text, in hexadecimal
 */
export function socketAddress(
  containerdAddress: string,
  namespace: string,
  group: string,
  sha256: (text: string) => string,
): string {
  const name = [...containerdAddress.split("/"), namespace, group].filter((part) => part !== "" && part !== ".");
  const path = `${containerdAddress.startsWith("/") ? "/" : ""}${name.join("/")}`;
  return `unix://${SOCKET_FOLDER}/${sha256(path)}`;
}
