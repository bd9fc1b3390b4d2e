import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ttrpc } from "@kuasar/proto/containerd";
import type { AgentAddress } from "../hypervisor/hypervisor.ts";

export const GREETING = "KUASAR-GUEST-1\n";
const HEADER_BYTES = 10;
const RESPONSE = 2;

/** For tests only: what a guest does with a connection of the host's. */
export type Behaviour = (socket: Socket) => void;

/** For tests only: a guest that does whatever it is told to, on a unix socket. */
export interface FakeGuest {
  readonly address: AgentAddress;
  /** How many connections there have been. */
  readonly connections: number;
  behave: Behaviour;
  close(): void;
}

export function startFakeGuest(behave: Behaviour): Promise<FakeGuest> {
  const folder = mkdtempSync(join(tmpdir(), "kuasar-"));
  const path = join(folder, "guest.sock");
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    fake.behave(socket);
  });
  const fake: FakeGuest = {
    address: { kind: "unix", path },
    get connections() {
      return connections;
    },
    behave,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return new Promise((resolve) => server.listen(path, () => resolve(fake)));
}

export interface FakeRequest {
  readonly streamId: number;
  readonly method: string;
  readonly payload: Uint8Array;
}

/** Greets, and has each request answered with what the function gives; undefined is no answer. */
export function answering(answer: (request: FakeRequest) => Uint8Array | undefined): Behaviour {
  return (socket) => {
    socket.write(GREETING);
    let got = Buffer.alloc(0);
    socket.on("data", (bytes) => {
      got = Buffer.concat([got, bytes]);
      for (let length = lengthIn(got); length <= got.length; length = lengthIn(got)) {
        const streamId = got.readUInt32BE(4);
        const { method, payload } = ttrpc.Request.decode(got.subarray(HEADER_BYTES, length));
        got = got.subarray(length);
        const response = answer({ streamId, method, payload });
        if (response) socket.write(response);
      }
    });
  };
}

const lengthIn = (bytes: Buffer) =>
  bytes.length < HEADER_BYTES ? Number.POSITIVE_INFINITY : HEADER_BYTES + bytes.readUInt32BE(0);

/** A frame whose header may say another length than it has. */
export function frame(streamId: number, body: Uint8Array, type = RESPONSE, length = body.length): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(length >>> 0, 0);
  header.writeUInt32BE(streamId >>> 0, 4);
  header.writeUInt8(type, 8);
  return Buffer.concat([header, body]);
}

export const response = (streamId: number, payload: Uint8Array) => frame(streamId, ttrpc.Response.encode({ payload }));

export const failure = (streamId: number, code: number, message: string) =>
  frame(streamId, ttrpc.Response.encode({ status: { code, message }, payload: new Uint8Array(0) }));
