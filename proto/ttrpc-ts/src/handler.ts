import type { CallContext } from "./server-call.ts";
import type { ByShape, InputOf, MethodDefinition, OutputOf, ServiceDefinition } from "./service.ts";
import { Code, StatusError } from "./status.ts";

/** What serves one method, by its shape. A thrown StatusError is the answer; anything else thrown becomes UNKNOWN. */
export type MethodHandler<M> = ByShape<
  M,
  (request: InputOf<M>, context: CallContext) => OutputOf<M> | Promise<OutputOf<M>>,
  (request: InputOf<M>, context: CallContext) => AsyncIterable<OutputOf<M>>,
  (requests: AsyncIterable<InputOf<M>>, context: CallContext) => OutputOf<M> | Promise<OutputOf<M>>,
  (requests: AsyncIterable<InputOf<M>>, context: CallContext) => AsyncIterable<OutputOf<M>>
>;

/** The methods of a service that a server offers; a missing one is answered UNIMPLEMENTED. */
export type Implementation<S extends ServiceDefinition> = {
  readonly [K in keyof S["methods"]]?: MethodHandler<S["methods"][K]> | undefined;
};

/** Serves every method of a service in encoded messages: what forwards calls without looking inside. */
export type RawHandler = (payload: Uint8Array, context: CallContext) => Uint8Array | Promise<Uint8Array>;

/** A registered method: its definition, and the handler bound to its implementation. */
export interface RegisteredMethod {
  readonly definition: MethodDefinition;
  handle(input: unknown, context: CallContext): unknown;
}

/** The services a server offers. */
export interface ServiceSet {
  register<S extends ServiceDefinition>(service: S, implementation: Implementation<S>): void;
  registerRaw(service: string, handler: RawHandler): void;
  /** Throws UNIMPLEMENTED in the words of containerd's server. */
  find(service: string, method: string): RegisteredMethod | RawHandler;
}

export function createServiceSet(): ServiceSet {
  return new MapOfServices();
}

interface Entry {
  readonly methods: Map<string, RegisteredMethod>;
  typed: boolean;
  raw: RawHandler | undefined;
}

class MapOfServices implements ServiceSet {
  readonly #services = new Map<string, Entry>();

  register<S extends ServiceDefinition>(service: S, implementation: Implementation<S>): void {
    const entry = this.#entry(service.name);
    if (entry.typed) {
      throw new StatusError(Code.ALREADY_EXISTS, `duplicate service ${service.name} registered`);
    }
    entry.typed = true;
    for (const [key, definition] of Object.entries(service.methods)) {
      const handler: unknown = implementation[key];
      if (typeof handler === "function") {
        entry.methods.set(definition.name, { definition, handle: handler.bind(implementation) });
      }
    }
  }

  registerRaw(service: string, handler: RawHandler): void {
    const entry = this.#entry(service);
    if (entry.raw !== undefined) {
      throw new StatusError(Code.ALREADY_EXISTS, `duplicate service ${service} registered`);
    }
    entry.raw = handler;
  }

  find(service: string, method: string): RegisteredMethod | RawHandler {
    const entry = this.#services.get(service);
    if (entry === undefined) {
      throw new StatusError(Code.UNIMPLEMENTED, `service ${service}`);
    }
    const found = entry.methods.get(method) ?? entry.raw;
    if (found === undefined) {
      throw new StatusError(Code.UNIMPLEMENTED, `method ${method}`);
    }
    return found;
  }

  #entry(service: string): Entry {
    let entry = this.#services.get(service);
    if (entry === undefined) {
      entry = { methods: new Map(), typed: false, raw: undefined };
      this.#services.set(service, entry);
    }
    return entry;
  }
}
