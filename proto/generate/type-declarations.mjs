import protobuf from "protobufjs";
import { fullName } from "./contracts.mjs";

const { Enum, MapField, Type } = protobuf;

const scalars = { string: "string", bytes: "Uint8Array", bool: "boolean" };

/**
 * The .d.ts of a set. A message X is two interfaces: X is what decode gives, with a value in every scalar, list and
 * map; IX is what encode and create take, with every field optional. And a constant X, the codec.
 */
export function typeDeclarations(root) {
  const body = root.nestedArray.flatMap((namespace) => [
    `export namespace ${namespace.name} {`,
    ...inside(namespace),
    "}",
  ]);
  return `${['import type { MessageType } from "../message-type.ts";', "", ...body].join("\n")}\n`;
}

function inside(namespace) {
  const lines = namespace.nestedArray.flatMap((object) => {
    if (object instanceof Enum) return [enumType(object), `const ${object.name}: ${enumConstants(object)};`];
    if (object instanceof Type) return [...messageLines(object), `const ${object.name}: ${codecType(object)};`];
    return [`namespace ${object.name} {`, ...inside(object), "}"];
  });
  return lines.map((line) => `  ${line}`);
}

/** Numbers and no TypeScript enum: those of two sets would be two types. */
function enumType(object) {
  return `type ${object.name} = ${[...new Set(Object.values(object.values))].join(" | ")};`;
}

function enumConstants(object) {
  const values = Object.entries(object.values).map(([name, value]) => `readonly ${name}: ${value}`);
  return `{ ${values.join("; ")} }`;
}

function messageLines(message) {
  const lines = [];
  for (const [prefix, optional] of [
    ["", false],
    ["I", true],
  ]) {
    lines.push(`interface ${prefix}${message.name} {`);
    for (const field of message.fieldsArray) lines.push(`  ${fieldLine(field, prefix, optional)}`);
    lines.push("}");
  }
  if (message.nestedArray.length > 0) {
    lines.push(
      `namespace ${message.name} {`,
      ...message.nestedArray.flatMap(typesOnly).map((line) => `  ${line}`),
      "}",
    );
  }
  return lines;
}

/** A namespace beside a constant may hold nothing but types. */
function typesOnly(nested) {
  return nested instanceof Enum ? [enumType(nested)] : messageLines(nested);
}

/** Messages and enums inside a message are members of its codec. */
function codecType(message) {
  const name = fullName(message);
  const own = `MessageType<${prefixed(name, "I")}, ${name}>`;
  if (message.nestedArray.length === 0) return own;
  const member = (nested) => (nested instanceof Enum ? enumConstants(nested) : codecType(nested));
  return `${own} & { ${message.nestedArray.map((nested) => `readonly ${nested.name}: ${member(nested)}`).join("; ")} }`;
}

function fieldLine(field, prefix, optional) {
  const plain = field.resolvedType instanceof Type ? prefixed(fullName(field.resolvedType), prefix) : scalarType(field);
  const list = optional ? `readonly ${plain}[]` : `${plain}[]`;
  const type = field instanceof MapField ? `Record<string, ${plain}>` : field.repeated ? list : plain;
  const single = !field.map && !field.repeated;
  const absent = optional || (single && (field.resolvedType instanceof Type || field.partOf));
  return absent ? `${field.name}?: ${type} | null | undefined;` : `${field.name}: ${type};`;
}

function scalarType(field) {
  return field.resolvedType ? fullName(field.resolvedType) : (scalars[field.type] ?? "number");
}

function prefixed(name, prefix) {
  return name.replace(/[^.]+$/, (last) => prefix + last);
}
