import { assert } from "chai";
import { startScopeCommand } from "./systemd-scope.ts";

const path = "/kubepods.slice/kubepods-pod1.slice/cri-containerd-abc.scope";

/** Reads an argument list back as busctl does. */
function parse(argv: readonly string[]): { unit: string; mode: string; properties: Map<string, string[]> } {
  const start = argv.indexOf("ssa(sv)a(sa(sv))") + 1;
  const [unit = "", mode = "", count = ""] = argv.slice(start);
  const rest = argv.slice(start + 3);
  const properties = new Map<string, string[]>();
  for (let index = 0; index < Number(count); index++) {
    const [name = "", signature = ""] = rest.splice(0, 2);
    const values = signature === "au" ? rest.splice(0, 1 + Number(rest[0])).slice(1) : rest.splice(0, 1);
    properties.set(name, values);
  }
  assert.deepEqual(rest, ["0"], "no auxiliary units, and nothing after them");
  return { unit, mode, properties };
}

describe("A scope of systemd", () => {
  it("is named by the end of the pod's cgroup, lies in its slice, and gets the process", () => {
    const { unit, properties } = parse(startScopeCommand(path, 42, undefined));
    assert.equal(unit, "cri-containerd-abc.scope");
    assert.deepEqual(properties.get("Slice"), ["kubepods-pod1.slice"]);
    assert.deepEqual(properties.get("PIDs"), ["42"]);
    assert.deepEqual(properties.get("Delegate"), ["true"]);
  });

  it("lies in the root slice where the path has no other", () => {
    assert.deepEqual(parse(startScopeCommand("/a.scope", 1, undefined)).properties.get("Slice"), ["-.slice"]);
  });

  it("has the limits of the spec, in systemd's units", () => {
    const resources = {
      cpu: { shares: 2, quota: 50_000, period: 100_000 },
      memory: { limit: 1_000_000, reservation: 1000 },
      pids: { limit: 10 },
    };
    const { properties } = parse(startScopeCommand(path, 1, resources));
    assert.deepEqual(
      ["CPUWeight", "CPUQuotaPerSecUSec", "MemoryMax", "MemoryLow", "TasksMax"].map(
        (name) => properties.get(name)?.[0],
      ),
      ["1", "500000", "1000000", "1000", "10"],
    );
  });

  it("has no limit where the spec says unlimited", () => {
    const { properties } = parse(
      startScopeCommand(path, 1, { cpu: { quota: -1 }, memory: { limit: -1 }, pids: { limit: 0 } }),
    );
    for (const name of ["CPUQuotaPerSecUSec", "MemoryMax", "TasksMax"]) assert.isFalse(properties.has(name), name);
  });
});
