import "./platform/globals.ts";
import * as sys from "sys";
import { type ShimSettings, serve } from "./serve.ts";

// The process that `start` forked: what it must know was written by start.ts.
serve(JSON.parse(sys.inheritance()) as ShimSettings);
