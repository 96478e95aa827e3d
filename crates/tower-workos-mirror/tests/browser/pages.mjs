// Each page: accessibility, the policy, and use without JavaScript or a mouse.
import assert from "node:assert/strict";
import { test } from "node:test";

import { context, tab, violations, withTab } from "./browser.mjs";
import { directory, event, group, iso, membership, user } from "./events.mjs";
import { withServer } from "./server.mjs";

const NOW = Date.now();

/** Something of everything: late events, no access for different reasons, dead letters are not possible here. */
async function fill(server) {
  const at = (minutes) => NOW - minutes * 60_000;
  const first = directory("directory_1", "Nordlicht", at(600));
  const second = directory("directory_2", "Old", at(600), { state: "inactive" });
  const people = Array.from({ length: 60 }, (_, index) => user(`user_${String(index).padStart(2, "0")}`, "directory_1", at(500 - index)));
  const team = group("group_1", "directory_1", at(550));
  await server.deliver([
    event("activated", at(600), first),
    event("activated", at(600), second),
    event("group.created", at(550), team),
    ...people.map((it) => event("user.created", at(500), it)),
    ...people.slice(0, 55).map((it) => event("group.user_added", at(400), membership(it, team))),
    event("user.updated", at(90), { ...people[1], state: "inactive", updated_at: iso(at(90)) }),
    event("user.updated", at(95), { ...people[1], state: "active", updated_at: iso(at(95)) }),
    event("user.deleted", at(80), people[2]),
    event("user.created", at(70), user("user_x", "directory_2", at(70))),
    event("deleted", at(60), { ...directory("directory_3", "Gone", at(600)) }),
  ], 1);
}

const PATHS = [
  "overview", "users", "users?q=quint", "users?q=nobody", "users?directory=directory_1&group=group_1&access=yes", "groups",
  "group?id=group_1", "changes", "changes?before=20", "directory?id=directory_1", "directory?id=directory_2", "directory?id=directory_3",
  "user?id=user_00", "user?id=user_01", "user?id=user_02", "user?id=user_x", "user?id=unknown",
];

test("axe finds nothing, and nothing is too wide", () =>
  withServer("sqlite", async (server) => {
    await fill(server);
    for (const [width, colorScheme] of [[390, "dark"], [820, "light"], [1400, "light"]]) {
      await withTab({ colorScheme, viewport: { width, height: 900 } }, async (page) => {
        for (const path of PATHS) {
          await page.goto(`${server.page}/${path}`);
          const overflow = await page.evaluate(() => document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth);
          assert.equal(overflow, 0, `${path} at ${width}`);
          assert.deepEqual(page.problems.filter((it) => !it.includes("404")), [], path);
          if (width !== 820) assert.deepEqual(await violations(page), [], `${path} at ${width}, ${colorScheme}`);
          // axe itself may cause some.
          page.problems.length = 0;
        }
      });
    }
  }));

test("axe finds nothing in an empty page", () =>
  withServer("sqlite", (server) =>
    withTab({}, async (page) => {
      for (const path of ["overview", "users", "groups", "changes"]) {
        await page.goto(`${server.page}/${path}`);
        assert.deepEqual(await violations(page), [], path);
      }
      page.problems.length = 0;
    })));

test("the policy is enforced", () =>
  withServer("sqlite", (server) =>
    withTab({}, async (page) => {
      await page.goto(`${server.page}/overview`);
      await page.evaluate(() => {
        const script = document.createElement("script");
        script.textContent = "window.isHacked = true";
        document.body.append(script);
        document.body.setAttribute("style", "color: red");
        document.body.append(Object.assign(new Image(), { src: "http://127.0.0.1:9/x.png" }));
      });
      await page.waitForFunction(() => window.isHacked === undefined);
      const violated = new Set(page.problems.filter((it) => it.startsWith("policy: ")).map((it) => it.split(" ")[1]));
      assert.deepEqual([...violated].sort(), ["img-src", "script-src-elem", "style-src-attr"]);
      page.problems.length = 0;
    })));

test("everything works without JavaScript", () =>
  withServer("sqlite", async (server) => {
    await fill(server);
    await withTab({ javaScriptEnabled: false }, async (page) => {
      await page.goto(server.page);
      assert.ok(page.url().endsWith("/directory/overview"));
      await page.getByRole("link", { name: "Users" }).click();
      await page.getByRole("searchbox").fill("quint user_1");
      await page.getByRole("searchbox").press("Enter");
      assert.equal(await page.locator("table.users tbody tr").count(), 10);
      await page.goto(`${server.page}/users`);
      await page.getByRole("link", { name: "Next users" }).click();
      assert.equal(await page.locator("table.users tbody tr").count(), 10);
      await page.locator("table.users a[href^=user]").first().click();
      await page.getByText("History").waitFor();
    });
  }));

test("everything works with the keyboard", () =>
  withServer("sqlite", async (server) => {
    await fill(server);
    await withTab({}, async (page) => {
      await page.goto(`${server.page}/users`);
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.getAttribute("href")), "#main");
      await page.keyboard.press("Enter");
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.id), "q");
      await page.keyboard.type("ada quint user_07");
      await page.keyboard.press("Enter");
      await page.waitForURL(/q=ada/);
      assert.equal(await page.locator("table.users tbody tr").count(), 1);
      await page.locator("table.users a[href^=user]").focus();
      await page.keyboard.press("Enter");
      await page.waitForURL(/user\?id=user_07/);
    });
  }));

test("a tab that returns is up to date", () =>
  withServer("sqlite", async (server) => {
    await fill(server);
    const own = await context();
    const page = await tab(own);
    await page.goto(`${server.page}/users?q=user_00`);
    await page.locator("table.users a[href^=user]").first().click();
    await page.waitForURL(/user\?id=user_00/);
    await server.deliver([event("user.updated", NOW, { ...user("user_00", "directory_1", NOW), state: "suspended" })]);
    await page.goBack();
    await page.waitForFunction(() => document.querySelector("table.users").innerText.includes("suspended"));
    assert.deepEqual(page.problems, []);
    await own.close();
  }));
