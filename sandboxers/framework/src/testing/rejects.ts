import { expect } from "chai";

/** The promise is rejected with this gRPC code and a message that matches. */
export async function rejects(promise: Promise<unknown>, code: number, text: RegExp): Promise<void> {
  const error: { code?: number; message?: string } = await promise.then(
    () => ({ message: "it succeeded" }),
    (thrown: unknown) => thrown as Error,
  );
  expect(error.message).to.match(text);
  expect(error.code).to.equal(code);
}
