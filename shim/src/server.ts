import "./platform/globals.ts";
import * as sys from "sys";
import { type ShimSettings, serve } from "./serve.ts";

// The process that `start` forked begins here, with what start.ts wrote.
Object.assign(globalThis, { main: () => serve(JSON.parse(sys.inheritance()) as ShimSettings) });
