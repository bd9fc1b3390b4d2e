import { describeTargets } from "./fuzz-suite.ts";

describeTargets("Hostile input to what is in one process", ({ native }) => !native);
