/** @returns the program's path, if it is installed. */
export function findProgram(name: string): string | undefined;
