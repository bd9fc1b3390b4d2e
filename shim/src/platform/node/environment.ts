/** Variables by which the launcher, the command and the server tell each other things. Nobody else is to see them. */

/** What the command gives to the server: sys.inheritance(). */
export const INHERITANCE = "KUASAR_NODE_INHERITANCE";

/** The soft limit on open files that the launcher was started with. */
export const OPEN_FILES = "KUASAR_NODE_OPEN_FILES";

export const INTERNAL_VARIABLES: readonly string[] = [INHERITANCE, OPEN_FILES];
