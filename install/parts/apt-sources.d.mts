export interface AptSource {
  readonly uri: string;
  readonly suites: string[];
  readonly components: string[];
}

export function parseListFormat(text: string): AptSource[];
export function parseDeb822Format(text: string): AptSource[];
/** Addresses to fetch Debian from, likeliest first; at least one. */
export function debianMirrors(etc?: string, osRelease?: string): string[];
