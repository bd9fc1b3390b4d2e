/**
 * All that the core asks of its host beyond the ES2022 language. Node has it; the QuickJS runtime supplies it.
 * Named here rather than taken from a `lib`, so that no Node or DOM type can slip into the core unnoticed.
 */
interface Runtime {
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(timer: unknown): void;
  TextEncoder: new () => TextEncoderLike;
  TextDecoder: new (label: string, options: { fatal: boolean; ignoreBOM: boolean }) => TextDecoderLike;
}

interface TextEncoderLike {
  encode(text: string): Uint8Array;
}

interface TextDecoderLike {
  decode(bytes: Uint8Array): string;
}

export const runtime = globalThis as unknown as Runtime;
