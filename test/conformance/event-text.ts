import type { TaskEvent } from "./event-log.ts";
import { type Names, timeText } from "./names.ts";

interface TimedFields {
  readonly pid?: number;
  readonly exitedAt?: { readonly seconds: number; readonly nanos: number } | null;
}

/** "exit id=ID, pid=init, exitStatus=0, exitedAt=set": every field that says something, named alike in every run. */
export function eventText(event: TaskEvent, names: Names): string {
  const fields = Object.entries(event.fields).flatMap(([name, value]) => {
    const text = fieldText(name, value, event.fields as TimedFields, names);
    return text === "" ? [] : [`${name}=${text}`];
  });
  return `${event.topic.slice("/tasks/".length)}(${fields.join(" ")})`;
}

function fieldText(name: string, value: unknown, { exitedAt, pid }: TimedFields, names: Names): string {
  switch (name) {
    case "containerId":
      return "";
    case "pid":
      return names.pid(pid ?? 0);
    case "exitedAt":
      return timeText(exitedAt);
    case "rootfs":
      return `${(value as readonly unknown[]).length} mounts`;
    case "io":
      return Object.keys(value ?? {})
        .filter((key) => (value as Record<string, unknown>)[key])
        .join("+");
    default:
      return names.text(String(value));
  }
}
