import { Code, StatusError } from "ttrpc-ts";

/** What the URI of a log driver says. */
export interface LogDriver {
  readonly program: string;
  readonly args: readonly string[];
}

/** Where a process's output goes, as containerd names it (cio, "LogURI"). */
export type StreamTarget =
  | { readonly kind: "nowhere" }
  /** A FIFO, or a file. */
  | { readonly kind: "path"; readonly path: string }
  | ({ readonly kind: "driver" } & LogDriver);

/** Where both of a process's streams go: to a log driver, or each to a FIFO or a file, "" for nowhere. */
export type OutputTargets =
  | { readonly driver: LogDriver }
  | { readonly driver?: undefined; readonly stdout: string; readonly stderr: string };

/** One driver for both, whatever stderr says: containerd gives the same URI for it. INVALID_ARGUMENT names the stream. */
export function parseOutputUris(stdout: string, stderr: string): OutputTargets {
  const target = parseStreamUri("stdout", stdout);
  if (target.kind === "driver") return { driver: target };
  return { stdout: pathOf(target), stderr: pathOf(parseStreamUri("stderr", stderr)) };
}

function pathOf(target: StreamTarget): string {
  if (target.kind === "driver") {
    throw new StatusError(
      Code.INVALID_ARGUMENT,
      "stderr: a log driver takes both streams, expected it for stdout, too",
    );
  }
  return target.kind === "path" ? target.path : "";
}

/**
 * A path is taken as it is; `file:///PATH` and `binary:///PATH?ARGUMENT=VALUE` are URIs, in which Go's net/url has written
 * spaces and the like as %20.
 */
export function parseStreamUri(stream: string, uri: string): StreamTarget {
  if (uri === "") return { kind: "nowhere" };
  if (uri.startsWith("/")) return { kind: "path", path: uri };
  const [, scheme, path = "", query = ""] = /^(file|binary):\/\/(\/[^?#]*)(?:\?([^#]*))?$/s.exec(uri) ?? [];
  try {
    if (scheme === "file") return { kind: "path", path: decodeURIComponent(path) };
    if (scheme === "binary") return { kind: "driver", program: decodeURIComponent(path), args: argumentsIn(query) };
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
  }
  throw new StatusError(
    Code.INVALID_ARGUMENT,
    `${stream}: expected an absolute path, file:///PATH or binary:///PATH?ARGUMENT=VALUE, got ${uri}`,
  );
}

/** As containerd's: each key and its first value are two arguments. Sorted, since Go leaves their order to chance. */
function argumentsIn(query: string): string[] {
  const values = new Map<string, string>();
  const decode = (text: string) => decodeURIComponent(text.replaceAll("+", " "));
  for (const pair of query.split("&").filter((part) => part !== "")) {
    const [key = "", ...value] = pair.split("=");
    if (!values.has(decode(key))) values.set(decode(key), decode(value.join("=")));
  }
  return [...values].sort(([one], [other]) => (one < other ? -1 : 1)).flat();
}
