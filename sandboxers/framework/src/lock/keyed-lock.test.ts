import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { createKeyedLock } from "./keyed-lock.ts";

describe("the keyed lock", () => {
  it("runs one body a key at a time, in order, and names who holds it", async () => {
    const lock = createKeyedLock();
    const seen: string[] = [];
    const body = (name: string) => async () => {
      seen.push(`${name} by ${lock.owner("k")}`);
      await sleep(2);
      seen.push(`${name} done`);
    };
    await Promise.all([lock.run("k", "A", body("a")), lock.run("k", "B", body("b")), lock.run("k", "C", body("c"))]);
    expect(seen).to.deep.equal(["a by A", "a done", "b by B", "b done", "c by C", "c done"]);
    expect(lock.owner("k")).to.equal(undefined);
  });

  it("lets different keys run at once", async () => {
    const lock = createKeyedLock();
    let inside = 0;
    let most = 0;
    const body = async () => {
      most = Math.max(most, ++inside);
      await sleep(2);
      inside--;
    };
    await Promise.all([lock.run("a", "", body), lock.run("b", "", body)]);
    expect(most).to.equal(2);
  });

  it("goes on after a body that throws, and passes its error on", async () => {
    const lock = createKeyedLock();
    const failing = lock.run("k", "", async () => {
      throw new Error("no");
    });
    const next = lock.run("k", "", async () => "yes");
    expect(await failing.catch((error: Error) => error.message)).to.equal("no");
    expect(await next).to.equal("yes");
  });

  it("is idle when nothing is held", async () => {
    const lock = createKeyedLock();
    let done = false;
    void lock.run("k", "", async () => {
      await sleep(2);
      done = true;
    });
    await lock.idle();
    expect(done).to.equal(true);
  });
});
