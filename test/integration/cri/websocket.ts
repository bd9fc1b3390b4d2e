import { randomBytes } from "node:crypto";
import { request } from "node:http";
import type { Socket } from "node:net";

/** What a test needs of RFC 6455 as a client: Node 20 has no WebSocket of its own. */
export interface WebSocketConnection {
  /** Sends one binary message. */
  send(message: Uint8Array): void;
  /** Ends the connection, in order. */
  close(): void;
}

export interface WebSocketEvents {
  message(message: Buffer): void;
  /** Once, however the connection ends. */
  end(): void;
}

const CONTINUATION = 0x0;
const BINARY = 0x2;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;
const FINAL = 0x80;
const MASKED = 0x80;

/** Rejects with the server's answer where that is not to change to the subprotocol. */
export function connectWebSocket(
  url: string,
  subprotocol: string,
  events: WebSocketEvents,
): Promise<WebSocketConnection> {
  const headers = {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": randomBytes(16).toString("base64"),
    "Sec-WebSocket-Protocol": subprotocol,
  };
  return new Promise((resolve, reject) => {
    const opening = request(url, { headers });
    opening.on("error", reject);
    opening.on("response", (response) => {
      response.resume();
      reject(new Error(`${url}: expected a change to WebSocket, got ${response.statusCode} ${response.statusMessage}`));
    });
    opening.on("upgrade", (response, socket, head) => {
      const chosen = response.headers["sec-websocket-protocol"];
      if (chosen === subprotocol) resolve(new Connection(socket as Socket, head, events));
      else reject(new Error(`${url}: expected the subprotocol ${subprotocol}, got ${chosen}`));
    });
    opening.end();
  });
}

class Connection implements WebSocketConnection {
  private unread: Buffer;
  private fragments: Buffer[] = [];

  constructor(
    private readonly socket: Socket,
    head: Buffer,
    private readonly events: WebSocketEvents,
  ) {
    this.unread = head;
    socket.on("data", (data) => {
      this.unread = Buffer.concat([this.unread, data]);
      this.readFrames();
    });
    // How a server that goes away ends it; what is missing then, the test sees.
    socket.on("error", () => undefined);
    socket.on("close", () => events.end());
    // What came along with the answer is read when the caller knows of this connection.
    setImmediate(() => this.readFrames());
  }

  send(message: Uint8Array): void {
    this.sendFrame(BINARY, message);
  }

  close(): void {
    this.sendFrame(CLOSE, Buffer.from([0x03, 0xe8]));
    this.socket.end();
  }

  private sendFrame(opcode: number, payload: Uint8Array): void {
    const { length } = payload;
    const header = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
    header[0] = FINAL | opcode;
    header[1] = MASKED | (length < 126 ? length : length < 65_536 ? 126 : 127);
    if (header.length === 4) header.writeUInt16BE(length, 2);
    if (header.length === 10) header.writeBigUInt64BE(BigInt(length), 2);
    const mask = randomBytes(4);
    const masked = Buffer.from(payload).map((byte, index) => byte ^ (mask[index % 4] ?? 0));
    this.socket.write(Buffer.concat([header, mask, masked]));
  }

  private readFrames(): void {
    for (let frame = this.takeFrame(); frame; frame = this.takeFrame()) {
      const { final, opcode, payload } = frame;
      if (opcode === PING) this.sendFrame(PONG, payload);
      else if (opcode === CLOSE) this.socket.end();
      else if (opcode === BINARY || opcode === CONTINUATION) {
        this.fragments.push(payload);
        if (final) this.events.message(Buffer.concat(this.fragments.splice(0)));
      }
    }
  }

  private takeFrame(): { final: boolean; opcode: number; payload: Buffer } | undefined {
    const { unread } = this;
    if (unread.length < 2) return undefined;
    const [first = 0, short = 0] = unread;
    const begin = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (unread.length < begin) return undefined;
    const length = short < 126 ? short : short === 126 ? unread.readUInt16BE(2) : Number(unread.readBigUInt64BE(2));
    if (unread.length < begin + length) return undefined;
    this.unread = unread.subarray(begin + length);
    return {
      final: (first & FINAL) !== 0,
      opcode: first & 0x0f,
      payload: unread.subarray(begin, begin + length),
    };
  }
}
