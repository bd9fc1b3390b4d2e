import { stringify } from "smol-toml";
import type { SandboxerKind } from "./sandboxer-kinds.ts";

export function unitName({ kind }: SandboxerKind): string {
  return `kuasar-${kind}.service`;
}

/** The systemd unit of a sandboxer. */
export function systemdUnit({ kind, socket, directory }: SandboxerKind, program: string): string {
  return `[Unit]
Description=Kuasar ${kind} sandboxer
Before=containerd.service
# However often it ends, it is started again: the node's pods depend on it.
StartLimitIntervalSec=0

[Service]
Type=notify
# systemd-notify, a child, says that it is ready.
NotifyAccess=all
ExecStart=${program} --listen ${socket} --dir ${directory}
Restart=always
RestartSec=1
# Pods outlive their sandboxer: only its own process is to be stopped.
KillMode=process
Delegate=yes
LimitNOFILE=infinity
TasksMax=infinity
OOMScoreAdjust=-999

[Install]
WantedBy=multi-user.target
`;
}

/** The shim's default sandboxer, whose handler needs no longer name. */
const defaultKind = "runc";

/** What containerd 1.7 needs in its config.toml: a runtime handler for each sandboxer. */
export function runtimeFragment(kinds: readonly SandboxerKind[]): string {
  const handlers = kinds.map(({ kind }) => [
    kind === defaultKind ? "kuasar" : `kuasar-${kind}`,
    { runtime_type: "io.containerd.kuasar.v2", options: { sandboxer: kind } },
  ]);
  const runtimes = Object.fromEntries(handlers);
  return stringify({ plugins: { "io.containerd.grpc.v1.cri": { containerd: { runtimes } } } });
}
