import protobuf from "protobufjs";

/** A line a fact, by which two sets of .proto files can be compared: the key names it, the value says what it is. */
export type Facts = Map<string, string>;

/** Adds files to a root without following their imports, and with the fields' names as written. */
export function parseAll(root: protobuf.Root, sources: Iterable<string>): protobuf.Root {
  for (const source of sources) protobuf.parse(source, root, { keepCase: true });
  root.resolveAll();
  return root;
}

/** Every message, field, enum value, service and method below a namespace. */
export function factsOf(namespace: protobuf.NamespaceBase, facts: Facts = new Map()): Facts {
  for (const object of namespace.nestedArray) {
    const name = fullName(object);
    if (object instanceof protobuf.Type) {
      facts.set(name, "message");
      for (const field of object.fieldsArray) facts.set(`${name}.${field.name}`, fieldFact(field));
    } else if (object instanceof protobuf.Enum) {
      facts.set(name, "enum");
      for (const [value, number] of Object.entries(object.values)) facts.set(`${name}.${value}`, `${number}`);
    } else if (object instanceof protobuf.Service) {
      facts.set(name, "service");
      for (const method of object.methodsArray) facts.set(`${name}.${method.name}`, methodFact(method));
    }
    if (object instanceof protobuf.Namespace) factsOf(object, facts);
  }
  return facts;
}

function fieldFact(field: protobuf.Field): string {
  const type = field.resolvedType ? fullName(field.resolvedType) : field.type;
  const key = field instanceof protobuf.MapField ? `map of ${field.keyType} to ` : "";
  const label = field.repeated ? "repeated " : "";
  const oneof = field.partOf ? ` in ${field.partOf.name}` : "";
  return `${field.id}: ${label}${key}${type}${oneof}`;
}

function methodFact(method: protobuf.Method): string {
  const side = (stream: boolean | undefined, type: protobuf.Type | null) =>
    `${stream ? "stream " : ""}${type ? fullName(type) : "?"}`;
  const request = side(method.requestStream, method.resolvedRequestType);
  return `${request} -> ${side(method.responseStream, method.resolvedResponseType)}`;
}

function fullName(object: protobuf.ReflectionObject): string {
  return object.fullName.replace(/^\./, "");
}
