export const factFiles: readonly string[];
export function fetchFacts(report?: (line: string) => void): Promise<string>;
