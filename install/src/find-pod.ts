import { existsSync } from "node:fs";
import type { kuasar } from "@kuasar/proto/containerd";
import { SandboxesService } from "@kuasar/proto/definitions";
import { type Client, createClient, createStub } from "ttrpc-ts";
import { connect } from "ttrpc-ts/node";
import { sandboxerKinds } from "./sandboxer-kinds.ts";

/** A pod, and the connection to the sandboxer that has it. */
export interface FoundPod {
  readonly client: Client;
  readonly kind: string;
  readonly namespace: string;
  readonly id: string;
}

interface Candidate extends FoundPod {
  readonly podName: string;
}

const CALL_TIMEOUT_MS = 10_000;

/**
 * The pod of that id, of an id that begins so, or of that name.
 * @param socket of the sandboxer to ask; without it all that `kuasar install` knows are asked
 * @throws where there is none, or more than one
 */
export async function findPod(wanted: string, socket?: string): Promise<FoundPod> {
  const sockets =
    socket === undefined ? sandboxerKinds.map((kind) => kind.socket).filter((path) => existsSync(path)) : [socket];
  if (sockets.length === 0) throw new Error("no sandboxer runs here: expected one at its usual socket, or --socket");
  const candidates = (await Promise.all(sockets.map(podsAt))).flat();
  const found = select(candidates, wanted);
  for (const { client } of candidates) if (client !== found?.client) client.close();
  if (found) return found;
  throw new Error(`there is no pod whose id begins with ${wanted}, or that is called so, at ${sockets.join(", ")}`);
}

async function podsAt(socket: string): Promise<Candidate[]> {
  const client = createClient(await connect(socket, { timeoutMs: CALL_TIMEOUT_MS }));
  const { kind, sandboxes } = await createStub(SandboxesService, client).list({}, { timeoutMs: CALL_TIMEOUT_MS });
  if (sandboxes.length === 0) client.close();
  return sandboxes.map(({ namespace, id, podName }: kuasar.sandboxes.v1.Sandbox) => ({
    client,
    kind,
    namespace,
    id,
    podName,
  }));
}

function select(candidates: readonly Candidate[], wanted: string): Candidate | undefined {
  for (const fits of [
    ({ id }: Candidate) => id === wanted,
    ({ podName }: Candidate) => podName === wanted,
    ({ id }: Candidate) => id.startsWith(wanted),
  ]) {
    const found = candidates.filter(fits);
    if (found.length > 1) {
      const which = found.map(({ id, podName }) => `${id}${podName && ` (${podName})`}`).join(", ");
      throw new Error(`${wanted} is more than one pod: ${which}`);
    }
    if (found[0]) return found[0];
  }
  return undefined;
}
