/** A module that cannot be compiled here and now: it is run as it is. */
export class NotCompiled extends Error {}
