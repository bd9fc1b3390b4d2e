import "../../server.ts";
import { callMain } from "./main-function.ts";

callMain();
