import "../../main.ts";
import { callMain } from "./main-function.ts";

callMain();
