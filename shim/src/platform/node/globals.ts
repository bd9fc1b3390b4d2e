/** Node has everything that platform/globals.ts gives to QuickJS. */
export {};
