import { describeTargets } from "../fuzz/fuzz-suite.ts";

describeTargets("Hostile input to the native programs", ({ native }) => native);
