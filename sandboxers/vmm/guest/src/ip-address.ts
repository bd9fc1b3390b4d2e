/** An IP address with its prefix length: the address's own length is 4 or 16 bytes. */
export interface IpPrefix {
  readonly bytes: readonly number[];
  readonly length: number;
}

/** "10.1.2.3/16" or "fd00::1/64"; without a length it is the address alone. Throws an Error naming what it got. */
export function parseIpPrefix(text: string): IpPrefix {
  const [address = "", length] = text.split("/");
  const bytes = address.includes(":") ? parseIpv6(address) : parseIpv4(address);
  const bits = length === undefined ? (bytes?.length ?? 0) * 8 : Number(length);
  if (!bytes || !Number.isInteger(bits) || bits < 0 || bits > bytes.length * 8) {
    throw new Error(`expected an IP address or prefix, got ${JSON.stringify(text)}`);
  }
  return { bytes, length: bits };
}

function parseIpv4(text: string): number[] | undefined {
  const bytes = text.split(".").map(Number);
  return bytes.length === 4 && bytes.every((byte) => Number.isInteger(byte) && byte >= 0 && byte < 256)
    ? bytes
    : undefined;
}

function parseIpv6(text: string): number[] | undefined {
  const halves = text.split("::");
  const [head = [], tail = []] = halves.map(groupBytes);
  const missing = 16 - head.length - tail.length;
  const complete = halves.length === 1 ? missing === 0 : halves.length === 2 && missing > 0;
  const bytes = [...head, ...new Array<number>(Math.max(0, missing)).fill(0), ...tail];
  return complete && bytes.every((byte) => Number.isInteger(byte) && byte >= 0 && byte < 256) ? bytes : undefined;
}

function groupBytes(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (group.includes(".")) return parseIpv4(group) ?? [Number.NaN];
    const value = /^[0-9a-f]{1,4}$/i.test(group) ? Number.parseInt(group, 16) : Number.NaN;
    return [value >> 8, Number.isNaN(value) ? value : value & 255];
  });
}
