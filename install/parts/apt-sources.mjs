import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** @typedef {{ uri: string, suites: string[], components: string[] }} AptSource */

const truthy = new Set(["yes", "true", "1", "on", "enable", "with"]);

/**
 * One-line format, sources.list(5): `deb [options] uri suite component...`
 * @param {string} text
 * @returns {AptSource[]}
 */
export function parseListFormat(text) {
  const sources = [];
  for (const line of text.split("\n")) {
    const match = /^\s*deb\s+(?:\[[^\]]*\]\s*)?(\S+)\s+([^#]+)/.exec(line);
    if (!match) continue;
    const [suite, ...components] = match[2].trim().split(/\s+/);
    sources.push({ uri: match[1], suites: [suite], components });
  }
  return sources;
}

/**
 * deb822 format, sources.list(5): paragraphs of `Field: values`, continued by indented lines.
 * @param {string} text
 * @returns {AptSource[]}
 */
export function parseDeb822Format(text) {
  const sources = [];
  const body = text
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .join("\n");
  for (const paragraph of body.split(/\n\s*\n/)) {
    /** @type {Map<string, string[]>} */
    const fields = new Map();
    for (const line of paragraph.replace(/\n[ \t]+/g, " ").split("\n")) {
      const match = /^([A-Za-z-]+):\s*(.*)$/.exec(line);
      if (match) fields.set(match[1].toLowerCase(), match[2].trim().split(/\s+/));
    }
    const field = (name) => fields.get(name) ?? [];
    const enabled = fields.has("enabled") ? truthy.has(field("enabled")[0]?.toLowerCase() ?? "") : true;
    if (!enabled || !field("types").includes("deb")) continue;
    for (const uri of field("uris")) sources.push({ uri, suites: field("suites"), components: field("components") });
  }
  return sources;
}

/**
 * Addresses this machine itself may fetch Debian from, likeliest first: sources that carry the running release's
 * `main`. Other vendors' repositories can look just the same ("stable main"), so a caller tries them in turn and lets
 * the archive's signature decide.
 *
 * @param {string} [etc] where apt's configuration lies
 * @param {string} [osRelease]
 * @returns {string[]} at least one
 */
export function debianMirrors(etc = "/etc/apt", osRelease = "/etc/os-release") {
  const codename = /^VERSION_CODENAME=(\S+)$/m.exec(readFileSync(osRelease, "utf8"))?.[1];
  const releases = new Set([codename, "stable", "testing", "trixie"]);
  const files = [join(etc, "sources.list")];
  const parts = join(etc, "sources.list.d");
  if (existsSync(parts)) for (const name of readdirSync(parts).sort()) files.push(join(parts, name));
  const uris = new Set();
  for (const file of files) {
    const parse = file.endsWith(".sources") ? parseDeb822Format : file.endsWith(".list") ? parseListFormat : undefined;
    if (!parse || !existsSync(file)) continue;
    for (const source of parse(readFileSync(file, "utf8"))) {
      const carries = source.suites.some((suite) => releases.has(suite)) && source.components.includes("main");
      if (carries && !source.uri.startsWith("cdrom:")) uris.add(source.uri);
    }
  }
  if (uris.size === 0) {
    throw new Error(
      `found no Debian mirror: expected a source with suite "${codename}" and component "main" in ${etc}/sources.list or ${parts}`,
    );
  }
  const looksLikeDebian = (uri) => (/\bdebian\b/.test(new URL(uri).pathname) ? 0 : 1);
  return [...uris].sort((a, b) => looksLikeDebian(a) - looksLikeDebian(b));
}
