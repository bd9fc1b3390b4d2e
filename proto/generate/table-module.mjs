import protobuf from "protobufjs";
import { declarations, fullName } from "./contracts.mjs";

const { Enum, MapField, Type } = protobuf;

const letters = { string: "s", bytes: "b", uint32: "u", int32: "i", bool: "z", uint64: "U", int64: "I" };

/** A set's codecs as a line of text a message, for the interpreter in table/message.ts. */
export function tableModule(root) {
  const enums = [];
  const messages = [];
  for (const object of declarations(root)) {
    if (object instanceof Enum) enums.push(object);
    if (object instanceof Type) messages.push(object);
  }
  const variables = new Map([...enums, ...messages].map((object) => [object, fullName(object).replaceAll(".", "_")]));
  const lines = ['import { TableMessage } from "../table/message.ts";', ""];
  for (const object of enums) lines.push(`const ${variables.get(object)} = ${JSON.stringify(object.values)};`);
  for (const message of definedBeforeUse(messages)) {
    const types = message.fieldsArray.filter((field) => letterOf(field) === "m").map((field) => field.resolvedType);
    const values = [fullName(message), message.fieldsArray.map(wordOf).join(" ")].map((text) => JSON.stringify(text));
    if (types.length > 0) values.push(`[${types.map((type) => variables.get(type)).join(", ")}]`);
    lines.push(`const ${variables.get(message)} = /* @__PURE__ */ new TableMessage(${values.join(", ")});`);
  }
  lines.push("");
  for (const namespace of root.nestedArray) {
    lines.push(`export const ${namespace.name} = ${namespaceLiteral(namespace, variables)};`);
  }
  return `${lines.join("\n")}\n`;
}

function letterOf(field) {
  if (field instanceof MapField) {
    if (field.keyType === "string" && field.type === "string") return "M";
  } else {
    if (field.resolvedType instanceof Type) return "m";
    if (field.resolvedType instanceof Enum) return "i";
    if (Object.hasOwn(letters, field.type)) return letters[field.type];
  }
  throw new Error(`${fullName(field)}: table/message.ts cannot encode ${field.type} yet`);
}

function wordOf(field) {
  const label = field.map ? "" : field.repeated ? "*" : field.options?.proto3_optional ? "?" : "";
  return `${field.id}${letterOf(field)}${label}:${field.name}`;
}

/** A message's table holds the tables of its fields' messages, so those come first. */
function definedBeforeUse(messages) {
  const sorted = new Set();
  const visit = (message, around) => {
    if (sorted.has(message)) return;
    if (around.includes(message)) throw new Error(`${fullName(message)}: table codecs cannot be recursive`);
    for (const { resolvedType } of message.fieldsArray) {
      if (resolvedType instanceof Type) visit(resolvedType, [...around, message]);
    }
    sorted.add(message);
  };
  for (const message of messages) visit(message, []);
  return sorted;
}

function namespaceLiteral(namespace, variables) {
  const members = namespace.nestedArray.map((nested) => {
    if (variables.has(nested) && nested.nestedArray?.length > 0) {
      throw new Error(`${fullName(nested)}: table codecs cannot have messages inside a message`);
    }
    return `${nested.name}: ${variables.get(nested) ?? namespaceLiteral(nested, variables)}`;
  });
  return `{ ${members.join(", ")} }`;
}
