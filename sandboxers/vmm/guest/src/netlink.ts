import { netlink } from "guest";

/** rtnetlink messages, as rtnetlink(7) and linux/rtnetlink.h lay them out. */

const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const HEADER_BYTES = 16;
const REQUEST_BYTES = 1024;

/** A request under construction. All numbers are in the machine's byte order, addresses as they are on the wire. */
export class NetlinkRequest {
  private readonly buffer = new ArrayBuffer(REQUEST_BYTES);
  private readonly view = new DataView(this.buffer);
  private at = HEADER_BYTES;

  constructor(
    private readonly type: number,
    private readonly flags: number,
  ) {}

  u8(value: number): this {
    this.view.setUint8(this.at++, value);
    return this;
  }

  u16(value: number): this {
    this.view.setUint16(this.at, value, true);
    this.at += 2;
    return this;
  }

  u32(value: number): this {
    this.view.setUint32(this.at, value, true);
    this.at += 4;
    return this;
  }

  attribute(type: number, bytes: readonly number[]): this {
    this.u16(4 + bytes.length).u16(type);
    for (const byte of bytes) this.u8(byte);
    this.at = (this.at + 3) & ~3;
    return this;
  }

  attribute32(type: number, value: number): this {
    return this.u16(8).u16(type).u32(value);
  }

  /** Throws a SysError with the kernel's answer. */
  send(): DataView {
    const length = this.at;
    this.view.setUint32(0, length, true);
    this.view.setUint16(4, this.type, true);
    this.view.setUint16(6, NLM_F_REQUEST | this.flags, true);
    return new DataView(netlink(this.buffer, length));
  }
}

export const ACK = NLM_F_ACK;
export const CREATE = 0x400;
export const EXCLUSIVE = 0x200;
