/** The module "sys" on Node: what shim/native is for QuickJS, file by file. See README.md. */
export * from "./sys-command.ts";
export * from "./sys-digest.ts";
export * from "./sys-file.ts";
export * from "./sys-loop.ts";
export * from "./sys-mount.ts";
export * from "./sys-network.ts";
export * from "./sys-process.ts";
export * from "./sys-program.ts";
export * from "./sys-socket.ts";
export * from "./sys-text.ts";
