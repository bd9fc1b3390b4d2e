/** The command line that containerd calls a runtime v2 shim with (runtime/v2/shim/shim.go), in Go's flag syntax. */
export interface Flags {
  readonly namespace: string;
  readonly id: string;
  /** containerd's gRPC socket. */
  readonly address: string;
  readonly publishBinary: string;
  readonly bundle: string;
  readonly socket: string;
  readonly debug: boolean;
  readonly version: boolean;
  readonly help: boolean;
  /** start, delete, or "" to serve. */
  readonly action: string;
}

const STRINGS = {
  namespace: "namespace",
  id: "id",
  address: "address",
  "publish-binary": "publishBinary",
  bundle: "bundle",
  socket: "socket",
} as const;

const SWITCHES = { debug: "debug", v: "version", version: "version", h: "help", help: "help" } as const;

export function parseFlags(args: readonly string[]): Flags {
  const strings: Record<string, string> = {};
  const switches: Record<string, boolean> = {};
  let at = 0;
  for (; at < args.length; at++) {
    const match = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(args[at] as string);
    if (!match) break;
    const name = match[1] as string;
    if (Object.hasOwn(SWITCHES, name)) {
      switches[SWITCHES[name as keyof typeof SWITCHES]] = match[2] !== "false";
    } else if (Object.hasOwn(STRINGS, name)) {
      const value = match[2] ?? args[++at];
      if (value === undefined) throw new Error(`flag needs an argument: -${name}`);
      strings[STRINGS[name as keyof typeof STRINGS]] = value;
    } else {
      throw new Error(`flag provided but not defined: -${name}`);
    }
  }
  return {
    namespace: strings.namespace ?? "",
    id: strings.id ?? "",
    address: strings.address ?? "",
    publishBinary: strings.publishBinary ?? "",
    bundle: strings.bundle ?? "",
    socket: strings.socket ?? "",
    debug: switches.debug ?? false,
    version: switches.version ?? false,
    help: switches.help ?? false,
    action: args[at] ?? "",
  };
}
