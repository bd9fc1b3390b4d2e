import type { Socket } from "node:net";
import type { Transport } from "ttrpc-ts";
import { nodeTransport } from "ttrpc-ts/node";
import type { AgentAddress } from "../hypervisor/hypervisor.ts";
import { dialUnlinked } from "../machine/dial-unlinked.ts";

/** What vmm-task says first on a virtio port (guest/src/channel.ts). */
const GREETING = Buffer.from("KUASAR-GUEST-1\n");
/** A port's number on the host's side comes with it. */
const OK = /^OK \d{1,10}\n$/;
const OK_BYTES_MAX = 14;
const NEWLINE = 10;

/**
 * A connection on which the guest has shown that it is there: on a virtio port by its greeting, on a hybrid vsock, where
 * the machine's side is asked for by its port, by being connected. Fails for anything else that comes, and in time.
 */
export function dialGuest(address: AgentAddress, timeoutMs: number): Promise<Transport> {
  return new Promise((resolve, reject) => {
    const socket: Socket = dialUnlinked(address.path);
    let got = Buffer.alloc(0);
    const fail = (error: Error) => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(new Error(`no greeting within ${timeoutMs} ms`)), timeoutMs);
    const onData = (bytes: Buffer) => {
      got = Buffer.concat([got, bytes]);
      const begins = address.kind === "unix" ? afterGreeting(got) : afterOk(got);
      if (begins === "wrong") return fail(new Error("something else than a greeting"));
      if (begins === "more") return;
      clearTimeout(timer);
      for (const [event, listener] of [
        ["data", onData],
        ["error", fail],
        ["close", onClose],
      ] as const)
        socket.off(event, listener);
      socket.pause();
      resolve(nodeTransport(socket, got.length > begins ? got.subarray(begins) : undefined));
    };
    const onClose = () => fail(new Error("closed before the greeting"));
    socket.on("error", fail).on("close", onClose).on("data", onData);
    if (address.kind === "hybrid-vsock") socket.write(`CONNECT ${address.port}\n`);
  });
}

/** How many bytes of what came are the beginning; or that more must come, or that this is none. */
type Beginning = number | "more" | "wrong";

function afterGreeting(got: Buffer): Beginning {
  const expected = GREETING.subarray(0, got.length);
  if (!got.subarray(0, expected.length).equals(expected)) return "wrong";
  return got.length < GREETING.length ? "more" : GREETING.length;
}

function afterOk(got: Buffer): Beginning {
  const end = got.indexOf(NEWLINE) + 1;
  if (end === 0) return got.length < OK_BYTES_MAX ? "more" : "wrong";
  return OK.test(got.subarray(0, end).toString("latin1")) ? end : "wrong";
}
