import { join } from "node:path";

/** What QEMU makes in a machine's folder. */
export const qmpSocket = (directory: string) => join(directory, "qmp.sock");
export const portSocket = (directory: string) => join(directory, "agent.sock");
