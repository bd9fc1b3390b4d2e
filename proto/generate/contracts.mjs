import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import protobuf from "protobufjs";

const { Enum, Namespace, parse, Root, Service, Type } = protobuf;

/** @returns {string[]} every .proto file below the folder, as imports name it */
export function protoFiles(folder) {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".proto"))
    .sort();
}

/**
 * The contracts below a folder, parsed afresh: pruning one copy leaves the next one whole. Every file there is read,
 * so imports need not be followed; protobufjs would put its own google.protobuf in place of ours.
 */
export function readContracts(folder) {
  const root = new Root();
  for (const file of protoFiles(folder)) parse(readFileSync(join(folder, file), "utf8"), root);
  return root.resolveAll();
}

/** Messages, enums and services below a namespace, parents first, in the order of the .proto files. */
export function* declarations(namespace) {
  for (const nested of namespace.nestedArray) {
    if (nested instanceof Type || nested instanceof Enum || nested instanceof Service) yield nested;
    if (nested instanceof Namespace && !(nested instanceof Service)) yield* declarations(nested);
  }
}

export const fullName = (object) => object.fullName.replace(/^\./, "");

/** @param {string[]} patterns full names, or the beginning of names and an asterisk */
export function matcher(patterns) {
  const exact = new Set(patterns);
  const prefixes = patterns.filter((pattern) => pattern.endsWith("*")).map((pattern) => pattern.slice(0, -1));
  return (name) => exact.has(name) || prefixes.some((prefix) => name.startsWith(prefix));
}

/** The named messages and enums, and whatever their fields refer to. */
export function closure(root, patterns) {
  const matches = matcher(patterns);
  const kept = new Set();
  const keep = (object) => {
    if (kept.has(object)) return;
    kept.add(object);
    if (!(object instanceof Type)) return;
    for (const field of object.fieldsArray) if (field.resolvedType) keep(field.resolvedType);
  };
  for (const object of declarations(root)) {
    if (!(object instanceof Service) && matches(fullName(object))) keep(object);
  }
  return kept;
}

/** Removes everything from a root but the given messages and enums, and the namespaces that hold them. */
export function prune(namespace, kept) {
  for (const nested of [...namespace.nestedArray]) {
    const holder = nested instanceof Namespace && !(nested instanceof Service);
    if (holder) prune(nested, kept);
    if (!kept.has(nested) && !(holder && nested.nestedArray.length > 0)) namespace.remove(nested);
  }
}

/** The rpc's name with its first letter lowered: CloseIO is closeIO. */
export function methodKey(name) {
  return name[0].toLowerCase() + name.slice(1);
}
