// All tests, one after another, in one browser.
import { after } from "node:test";

import { close } from "./browser.mjs";

import "./live.mjs";
import "./hostile.mjs";
import "./pages.mjs";
import "./large.mjs";
import "./shutdown.mjs";

after(close);
