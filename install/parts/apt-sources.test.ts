import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert } from "chai";
import { debianMirrors, parseDeb822Format, parseListFormat } from "./apt-sources.mjs";

describe("apt's sources", () => {
  let etc: string;

  beforeEach(() => {
    etc = mkdtempSync(join(tmpdir(), "kuasar-apt-"));
    mkdirSync(join(etc, "sources.list.d"));
    writeFileSync(join(etc, "os-release"), 'NAME="Debian GNU/Linux"\nVERSION_CODENAME=bookworm\n');
  });

  afterEach(() => rmSync(etc, { recursive: true }));

  const mirrors = () => debianMirrors(etc, join(etc, "os-release"));

  it("are read in the one-line format, options and comments left aside", () => {
    const text =
      "# deb http://a.example/x y main\ndeb [arch=amd64 signed-by=/k] http://b.example/debian bookworm main contrib # why\n";
    assert.deepEqual(parseListFormat(text), [
      { uri: "http://b.example/debian", suites: ["bookworm"], components: ["main", "contrib"] },
    ]);
  });

  it("are read in the deb822 format, continued lines and several addresses included", () => {
    const text =
      "Types: deb deb-src\nURIs: http://a.example/debian\n http://b.example/debian\nSuites: bookworm bookworm-updates\n# a comment\nComponents: main\n";
    const source = { suites: ["bookworm", "bookworm-updates"], components: ["main"] };
    assert.deepEqual(parseDeb822Format(text), [
      { uri: "http://a.example/debian", ...source },
      { uri: "http://b.example/debian", ...source },
    ]);
  });

  it("leave out what is disabled or only sources", () => {
    const paragraph = (field: string) =>
      `${field}\nURIs: http://a.example/debian\nSuites: bookworm\nComponents: main\n`;
    const text = `${paragraph("Types: deb-src")}\n${paragraph("Types: deb\nEnabled: no")}`;
    assert.isEmpty(parseDeb822Format(text));
  });

  it("give Debian's own mirror before another vendor's that looks the same", () => {
    writeFileSync(join(etc, "sources.list"), "deb http://vendor.example/apt stable main\n");
    const debian =
      "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n";
    writeFileSync(join(etc, "sources.list.d", "debian.sources"), debian);
    assert.deepEqual(mirrors(), ["http://mirror.example/debian", "http://vendor.example/apt"]);
  });

  it("leave out security, other suites and CDs", () => {
    const list = "deb cdrom:[Debian]/ bookworm main\ndeb http://a.example/debian-security bookworm-security main\n";
    writeFileSync(join(etc, "sources.list"), `${list}deb http://b.example/debian/ bookworm main\n`);
    assert.deepEqual(mirrors(), ["http://b.example/debian/"]);
  });

  it("take a mirror list file as it is", () => {
    const debian = "Types: deb\nURIs: mirror+file:///etc/apt/mirrors/debian.list\nSuites: bookworm\nComponents: main\n";
    writeFileSync(join(etc, "sources.list.d", "debian.sources"), debian);
    assert.deepEqual(mirrors(), ["mirror+file:///etc/apt/mirrors/debian.list"]);
  });

  it("are missed with words that say what was expected", () => {
    assert.throws(mirrors, /no Debian mirror.*bookworm/);
  });
});
