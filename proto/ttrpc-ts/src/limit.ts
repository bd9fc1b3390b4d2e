import { MESSAGE_LENGTH_MAX } from "./frame.ts";
import { Code, StatusError } from "./status.ts";

// Below this an error could not be told; from 16 MiB on, the length's reserved first byte would be used.
const MESSAGE_LIMIT_MIN = 1024;
const MESSAGE_LIMIT_MAX = 0xff_ffff;

/** The message limit of a client or server; throws a StatusError for one that the protocol has no room for. */
export function messageLimit(maxMessageBytes: number = MESSAGE_LENGTH_MAX): number {
  return integerWithin("maxMessageBytes", maxMessageBytes, MESSAGE_LIMIT_MIN, MESSAGE_LIMIT_MAX);
}

/** The value itself; throws INVALID_ARGUMENT unless it is an integer from `least` to `most`. */
export function integerWithin(option: string, value: number, least: number, most: number): number {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new StatusError(
      Code.INVALID_ARGUMENT,
      `${option}: expected an integer from ${least} to ${most}, got ${value}`,
    );
  }
  return value;
}
