/** The generated files by name, and what they hold. */
export function generatedFiles(): Map<string, string>;
/** False when the folder was up to date. */
export function generate(output?: string): boolean;
