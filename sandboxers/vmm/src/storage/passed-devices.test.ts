import { expect } from "chai";
import { passedDevices } from "./passed-devices.ts";

const device = (path: string, major: number, minor: number) => ({ path, type: "b", major, minor });
const nodes: Readonly<Record<string, string>> = { "/dev/vdb": "253:16", "/dev/vdc": "253:32" };
const passed = (spec: object) => passedDevices({ ...spec }, (path) => nodes[path]);

describe("block devices that a container's spec asks for", () => {
  it("are those with a rule of their own, for reading or writing", () => {
    const rules = [
      { allow: false, access: "rwm" },
      { allow: true, type: "b", major: 8, minor: 0, access: "r" },
      { allow: true, type: "b", major: 8, minor: 16, access: "rwm" },
      { allow: true, type: "b", major: 8, access: "rwm" },
    ];
    const linux = {
      devices: [device("/dev/a", 8, 0), device("/dev/b", 8, 16), device("/dev/c", 8, 32)],
      resources: { devices: rules },
    };
    expect([...passed({ linux }).writable]).to.deep.equal([
      ["8:0", false],
      ["8:16", true],
    ]);
  });

  it("are none of a privileged container's, which has all of the host's", () => {
    const linux = { devices: [device("/dev/vda", 253, 0)], resources: { devices: [{ allow: true, access: "rwm" }] } };
    expect([...passed({ linux }).writable]).to.deep.equal([]);
  });

  it("are those whose node is mounted, written to where one of the mounts is not read-only", () => {
    const mount = (source: string, ...options: string[]) => ({ destination: source, source, options });
    const { writable, mounted } = passed({
      mounts: [mount("/dev/vdb", "rbind", "ro"), mount("/dev/vdc", "rbind", "ro"), mount("/dev/vdc"), mount("/srv")],
    });
    expect([...writable]).to.deep.equal([
      ["253:16", false],
      ["253:32", true],
    ]);
    expect([...mounted.keys()]).to.deep.equal(["/dev/vdb", "/dev/vdc"]);
  });
});
