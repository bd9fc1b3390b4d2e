import { get } from "node:http";

const TIMEOUT_MS = 2_000;

/** The first line that a web address answers with; undefined while nobody answers there. */
export function firstLineOf(url: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const call = get(url, { timeout: TIMEOUT_MS }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text) => {
        body += text;
      });
      response.on("end", () => resolve(body.split("\n")[0]));
    });
    call.on("timeout", () => call.destroy());
    // Nobody listens yet.
    call.on("error", () => resolve(undefined));
  });
}
