// A graceful shutdown while browsers receive live updates.
import assert from "node:assert/strict";
import { test } from "node:test";

import { live, tab, withTab } from "./browser.mjs";
import { withServer } from "./server.mjs";

for (const kind of ["sqlite", "postgres"]) {
  test(`three open streams do not delay a shutdown (${kind})`, () =>
    withServer(kind, (server) =>
      withTab({}, async (first, context) => {
        const pages = [first, await tab(context), await tab(context)];
        for (const [index, page] of pages.entries()) {
          await page.goto(`${server.page}/${["overview", "users", "changes"][index]}`);
          await live(page);
        }
        const millis = await server.stop();
        console.log(`stopped after ${millis.toFixed(0)} ms`);
        assert.ok(millis <= 1000, `${millis} ms`);
        await first.waitForFunction(() => !document.getElementById("live").classList.contains("on"));
        first.problems.length = 0;
      })));
}
