// Pages that change while they are open.
import assert from "node:assert/strict";
import { test } from "node:test";

import { assertSame, live, mark, tab, until, withTab } from "./browser.mjs";
import { directory, event, user } from "./events.mjs";
import { proxy } from "./proxy.mjs";
import { simulate, start, withServer } from "./server.mjs";

const DAY = Date.UTC(2026, 1, 3, 9);

/** The numbers of the changes that a page shows, the latest first. */
const shown = (page) => page.$$eval("#feed tr", (rows) => rows.map((row) => Number(row.id.slice(1))));

const numbers = (from, to) => Array.from({ length: from - to + 1 }, (_, index) => from - index);

/** The parts of a page that are kept up to date, without the times, which pass, and the footer, which has the time of the load. */
const parts = (page) =>
  page.evaluate(() => {
    const copies = [...document.querySelectorAll("main [data-live]")].map((part) => part.cloneNode(true));
    for (const copy of copies) {
      for (const time of copy.querySelectorAll("time.ago")) time.textContent = "";
      for (const row of copy.querySelectorAll("tr.new")) row.removeAttribute("class");
    }
    return copies.map((copy) => copy.innerHTML);
  });

for (const kind of ["sqlite", "postgres"]) {
  test(`open pages follow a simulated life (${kind})`, () =>
    withServer(kind, (server) =>
      withTab({}, async (overview, context) => {
        const tabs = [[overview, "overview"]];
        for (const path of ["users", "groups", "changes"]) tabs.push([await tab(context), path]);
        for (const [page, path] of tabs) {
          await page.goto(`${server.page}/${path}`);
          await live(page);
          await mark(page);
        }
        const options = ["--seed", "7", "--events", "300", "--directories", "4", "--users", "70", "--groups", "6"];
        await simulate(server, [...options, "--duplicates", "10%", "--reorder", "20", "--late", "2%"]);
        for (const [page, path] of tabs) {
          const fresh = await tab(context);
          await fresh.goto(`${server.page}/${path}`);
          const length = path === "changes" ? (await shown(fresh)).length : undefined;
          await until(`${path} shows the same as a new page`, async () => {
            const [before, now] = [await parts(page), await parts(fresh)];
            if (path !== "changes") return now.length > 0 && JSON.stringify(before) === JSON.stringify(now);
            return JSON.stringify((await shown(page)).slice(0, length)) === JSON.stringify(await shown(fresh));
          });
          await assertSame(page);
          await fresh.close();
          assert.deepEqual(page.problems, []);
        }
        // Nothing is missing in the rows that were added one by one.
        const rows = await shown(tabs[3][0]);
        assert.ok(rows.length > 100);
        assert.deepEqual(rows, numbers(rows[0], rows.at(-1)));
      })));
}

test("a user loses access while an operator looks", () =>
  withServer("sqlite", (server) =>
    withTab({}, async (page) => {
      const person = (at, fields) => user("user_1", "directory_1", at, fields);
      await server.deliver([
        event("activated", DAY, directory("directory_1", "Nordlicht", DAY)),
        event("user.created", DAY + 1000, person(DAY + 1000)),
      ], 1);
      await page.goto(`${server.page}/user?id=user_1`);
      await live(page);
      await mark(page);
      const verdict = page.locator("section.verdict");
      assert.match(await verdict.innerText(), /has access/);
      await server.deliver([event("user.updated", DAY + 9000, person(DAY + 9000, { state: "inactive" }))]);
      await page.waitForFunction(() => document.querySelector("section.verdict").innerText.includes("has no access"));
      assert.match(await verdict.innerText(), /inactive/);
      // Screen readers hear it.
      await page.waitForFunction(() => document.querySelector("[role=status]").textContent.includes("has no access"));
      // A late event changes nothing, and the history says so.
      await server.deliver([
        event("user.updated", DAY + 5000, person(DAY + 5000)),
        event("user.updated", DAY + 10000, person(DAY + 10000, { state: "inactive", last_name: "Quant" })),
      ], 1);
      await page.waitForFunction(() => document.querySelector("h1").innerText.includes("Quant") || document.body.innerText.includes("Quant"));
      const late = page.locator("table.history tr", { hasText: "late" });
      await late.waitFor();
      assert.match(await late.innerText(), /nothing/);
      assert.match(await verdict.innerText(), /has no access/);
      await assertSame(page);
    })));

const many = (from, to) =>
  Array.from({ length: to - from }, (_, index) => {
    const at = DAY + (from + index) * 1000;
    return event("user.created", at, user(`user_${String(from + index).padStart(5, "0")}`, "directory_1", at));
  });

test("a reconnect misses nothing", () =>
  withServer("sqlite", async (server, storage) => {
    const network = await proxy(server.port);
    await withTab({}, async (feed, context) => {
      const users = await tab(context);
      await server.deliver(many(0, 10));
      for (const [page, path] of [[feed, "changes"], [users, "users"]]) {
        await page.goto(`${network.page}/${path}`);
        await live(page);
        await mark(page);
      }
      const showsAll = (latest) =>
        until(`the changes until ${latest}`, async () => {
          const rows = await shown(feed);
          return rows[0] === latest && JSON.stringify(rows) === JSON.stringify(numbers(latest, 1));
        });
      await showsAll(20);
      // The network fails.
      network.cut();
      await server.deliver(many(10, 30));
      assert.equal((await shown(feed))[0], 20);
      network.restore();
      await showsAll(60);
      // The server restarts.
      await server.stop();
      const next = await start(storage);
      try {
        await next.deliver(many(30, 40));
        network.restore(next.port);
        await showsAll(80);
        await live(users);
        await until("the users after the restart", async () => (await users.locator("table.users tbody tr").count()) === 40);
        // Too many changes to send one by one: the page is loaded again.
        network.cut();
        await next.deliver(many(40, 640));
        network.restore();
        await until("the latest changes", async () => {
          const rows = await shown(feed);
          return rows[0] === 1280 && rows.length >= 50 && JSON.stringify(rows.slice(0, 50)) === JSON.stringify(numbers(1280, 1231));
        });
        for (const page of [feed, users]) {
          await live(page);
          await assertSame(page);
          // The browser itself reports that it could not connect.
          const problems = page.problems.splice(0).filter((it) => !/ERR_|net::|Failed to load/.test(it));
          assert.deepEqual(problems, []);
        }
      } finally {
        next.kill();
      }
    });
    network.close();
  }));

test("an operator whose session ends is told", () =>
  withServer("sqlite", (server) =>
    withTab({}, async (page) => {
      await page.goto(`${server.page}/users`);
      await live(page);
      await page.route("**/users", (route) => route.fulfill({ status: 401, body: "Sign in first." }));
      await server.deliver(many(0, 1));
      await page.waitForFunction(() => /sign in/.test(document.getElementById("live").textContent));
      page.problems.splice(0, page.problems.length, ...page.problems.filter((it) => !it.includes("401")));
    })));
