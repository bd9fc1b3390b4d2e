/** What a call is refused with. Rejects if it is not. */
export async function refusal(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => undefined,
    (reason: Error) => reason,
  );
  if (!error) throw new Error("expected a refusal, got an answer");
  return error.message;
}
