import { assert } from "chai";
import { requests } from "./asked-modules.ts";

describe("What a machine's kernel may be asked for", () => {
  it("is a module by its name and by its aliases, after all that it needs", () => {
    const modules = [
      { name: "llc", needs: [], aliases: [] },
      { name: "stp", needs: ["llc"], aliases: [] },
      { name: "bridge", needs: ["stp", "llc"], aliases: ["rtnl_link_bridge", "pci:v*d*"] },
      { name: "tun", needs: ["built_in"], aliases: [] },
    ];
    assert.equal(
      requests(modules),
      "llc llc\nstp llc stp\nbridge llc stp bridge\nrtnl_link_bridge llc stp bridge\ntun tun\n",
    );
  });
});
