import { errorText } from "../error/sandbox-error.ts";
import type { SandboxRecord } from "../sandbox/sandbox-record.ts";
import { isSandboxState } from "../sandbox/sandbox-state.ts";
import { isExecState } from "../task/exec-state.ts";
import type { TaskRecord } from "../task/task-record.ts";
import { isTaskState } from "../task/task-state.ts";
import { isJsonObject, type JsonObject } from "./json.ts";
import { readLastRecord } from "./record-file.ts";

/** The store's format; a higher one on disk was written by a later version and is left alone. */
export const STORE_VERSION = 1;

/** A store that cannot be read: says which file, and why. Nothing may be changed after it. */
export class StoreUnreadable extends Error {
  readonly path: string;

  constructor(path: string, reason: string) {
    super(`the state in ${path} cannot be read: ${reason}`);
    this.name = "StoreUnreadable";
    this.path = path;
  }
}

export function readSandboxRecord(path: string, namespace: string, id: string): SandboxRecord {
  const json = readVersioned(path);
  if (json === undefined) {
    throw new StoreUnreadable(path, "it has no whole line");
  }
  expectText(path, json, "id", id);
  expectText(path, json, "namespace", namespace);
  expectType(path, json, "kind", "string");
  expectType(path, json, "bundle", "string");
  expectType(path, json, "monitorAddress", "string");
  expectType(path, json, "pid", "number");
  expectObject(path, json, "createdAt");
  expectObject(path, json, "engine");
  expectKnown(path, "state", json.state, isSandboxState);
  return json as unknown as SandboxRecord;
}

/** Undefined if the only version of it was never whole. */
export function readTaskRecord(path: string, id: string): TaskRecord | undefined {
  const json = readVersioned(path);
  if (json === undefined) {
    return undefined;
  }
  expectText(path, json, "id", id);
  expectType(path, json, "bundle", "string");
  expectType(path, json, "pid", "number");
  expectObject(path, json, "io");
  expectObject(path, json, "engine");
  expectObject(path, json, "execs");
  expectKnown(path, "state", json.state, isTaskState);
  for (const [execId, exec] of Object.entries(json.execs as JsonObject)) {
    if (!isJsonObject(exec)) {
      throw new StoreUnreadable(path, `exec ${JSON.stringify(execId)} is not an object`);
    }
    expectKnown(path, `the state of exec ${execId}`, exec.state, isExecState);
    expectObject(path, exec, "io");
  }
  return json as unknown as TaskRecord;
}

function readVersioned(path: string): JsonObject | undefined {
  let json: unknown;
  try {
    const text = readLastRecord(path);
    if (text === undefined) {
      return undefined;
    }
    json = JSON.parse(text);
  } catch (error) {
    throw new StoreUnreadable(path, errorText(error));
  }
  if (!isJsonObject(json)) {
    throw new StoreUnreadable(path, "expected a JSON object");
  }
  if (typeof json.version === "number" && json.version > STORE_VERSION) {
    throw new StoreUnreadable(
      path,
      `it has format version ${json.version}, written by a later sandboxer; this one knows up to ${STORE_VERSION}`,
    );
  }
  if (json.version !== STORE_VERSION) {
    throw new StoreUnreadable(path, `expected format version ${STORE_VERSION}, found ${JSON.stringify(json.version)}`);
  }
  return json;
}

function expectText(path: string, json: JsonObject, field: string, expected: string): void {
  if (json[field] !== expected) {
    throw new StoreUnreadable(path, `${field} is ${JSON.stringify(json[field])}, the folder says ${expected}`);
  }
}

function expectType(path: string, json: JsonObject, field: string, type: "string" | "number"): void {
  if (typeof json[field] !== type) {
    throw new StoreUnreadable(path, `${field} should be a ${type}, found ${JSON.stringify(json[field])}`);
  }
}

function expectObject(path: string, json: JsonObject, field: string): void {
  if (!isJsonObject(json[field])) {
    throw new StoreUnreadable(path, `${field} should be an object, found ${JSON.stringify(json[field])}`);
  }
}

function expectKnown(path: string, what: string, value: unknown, known: (value: unknown) => boolean): void {
  if (!known(value)) {
    throw new StoreUnreadable(path, `${what} ${JSON.stringify(value)} is not a known state`);
  }
}
