import { expect } from "chai";
import { inRuncWords } from "./runtime-words.ts";

describe("what crun says of a container that it cannot make", () => {
  for (const [said, meant] of [
    [
      "executable file `sh` not found in $PATH: No such file or directory",
      'exec: "sh": executable file not found in $PATH',
    ],
    ["executable file `/no/sh` not found in $PATH", 'exec: "/no/sh": stat /no/sh: no such file or directory'],
    ["open executable: Operation not permitted", "exec: permission denied"],
    ["chdir `/etc/passwd`: Not a directory", "chdir `/etc/passwd`: not a directory"],
    ["the container `a` is not running", "the container `a` is not running"],
  ] as const) {
    it(`is ${JSON.stringify(meant)} to clients, who know runc's words`, () => {
      expect(inRuncWords(said)).to.equal(meant);
    });
  }
});
