const CHARACTERS = 4_096;

/** What a guest says in words, for people to read: not without end, and nothing in it that a terminal would act on. */
export function boundedText(text: string): string {
  return text
    .slice(0, CHARACTERS)
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ")
    .trim();
}
