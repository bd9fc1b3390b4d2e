import { assert } from "chai";
import { writableBelow } from "./mounts-below.ts";

const line = (point: string, options: string) => `36 35 98:0 / ${point} ${options} shared:1 - ext4 /dev/root rw`;

describe("What is mounted below a volume", () => {
  const mountinfo = [
    line("/", "rw"),
    line("/data", "rw"),
    line("/data/one", "rw,nosuid"),
    line("/data/one/deep", "rw"),
    line("/data/with\\040space", "rw"),
    line("/data/locked", "ro,relatime"),
    line("/data/over", "rw"),
    line("/data/over", "ro"),
    line("/database", "rw"),
    "",
  ].join("\n");

  it("is found by its path in it, but for what is read-only by itself, or not below it", () => {
    assert.deepEqual(writableBelow(mountinfo, "/data"), ["one", "one/deep", "with space"]);
    assert.deepEqual(writableBelow(mountinfo, "/other"), []);
  });

  it("is found below the root, too", () => {
    assert.includeMembers(writableBelow(mountinfo, "/"), ["data", "data/one", "database"]);
  });
});
