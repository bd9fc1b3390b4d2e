import * as sys from "sys";
import { startTimer, stopTimer } from "./loop.ts";

/**
 * What code for any JavaScript engine may rely on and QuickJS does not have. Imported first, for its effect.
 */

class Utf8Encoder {
  readonly encoding = "utf-8";
  encode(text = ""): Uint8Array {
    return new Uint8Array(sys.encodeUtf8(text));
  }
}

class Utf8Decoder {
  readonly encoding = "utf-8";
  decode(bytes?: Uint8Array): string {
    return bytes ? sys.decodeUtf8(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength) : "";
  }
  /** For the codecs of messages, which know where in the bytes a text is (proto/table/utf8.ts). */
  decodeAscii(bytes: Uint8Array, start: number, end: number): string | undefined {
    return sys.decodeAscii(bytes.buffer as ArrayBuffer, bytes.byteOffset + start, end - start);
  }
}

Object.assign(globalThis, {
  TextEncoder: Utf8Encoder,
  TextDecoder: Utf8Decoder,
  setTimeout: startTimer,
  clearTimeout: stopTimer,
});
