import type { PodConfig } from "../pause/pod-config.ts";

/** The resolv.conf(5) of a pod's DNS config. Contract: containerd's `parseDNSOptions`. */
export function resolvConf({ servers, searches, options }: NonNullable<PodConfig["dns"]>): string {
  let text = "";
  if (searches.length > 0) {
    text += `search ${searches.map(oneLine).join(" ")}\n`;
  }
  for (const server of servers) {
    text += `nameserver ${oneLine(server)}\n`;
  }
  if (options.length > 0) {
    text += `options ${options.map(oneLine).join(" ")}\n`;
  }
  return text;
}

function oneLine(value: string): string {
  return value.replace(/[\r\n]+/g, " ");
}
