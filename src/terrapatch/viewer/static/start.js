import { LiveSource } from "./live.js";
import { startPage } from "./page.js";

startPage(new LiveSource());
