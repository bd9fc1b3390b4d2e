import { randomInt } from "node:crypto";
import { execa } from "execa";

/**
 * A /24 in 10.64.0.0/10 that no interface or route of this machine touches. It starts at random, so two runs at once
 * hardly take the same.
 */
export async function freeSubnet(): Promise<string> {
  const { stdout } = await execa("ip", ["-json", "-4", "route", "show", "table", "all"]);
  const routes = JSON.parse(stdout) as { dst?: string }[];
  const taken = new Set<string>();
  for (const { dst } of routes) {
    const [a, b, c] = (dst ?? "").split(".");
    if (a === "10") taken.add(dst?.includes("/") && c === "0" ? `${a}.${b}` : `${a}.${b}.${c}`);
  }
  for (let attempt = 0; attempt < 100; attempt++) {
    const [second, third] = [randomInt(64, 128), randomInt(1, 255)];
    if (!taken.has(`10.${second}`) && !taken.has(`10.${second}.${third}`)) return `10.${second}.${third}.0/24`;
  }
  throw new Error(`found no free /24 in 10.64.0.0/10 beside ${routes.length} routes`);
}
