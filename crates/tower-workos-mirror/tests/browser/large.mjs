// 100 000 users: search, pages, the time until the first byte, and the weight of a page.
import assert from "node:assert/strict";
import { test } from "node:test";

import { withTab } from "./browser.mjs";
import { directory, event, group, membership, user } from "./events.mjs";
import { start, withServer } from "./server.mjs";

const DAY = Date.UTC(2026, 1, 3, 9);
const NAMES = ["Ada", "Grace", "Katherine", "Mary", "Annie", "Hedy", "Radia", "Barbara", "Frances", "Joan"];
const LOADS = Number(process.env.LOADS ?? 9);
// Of a page with its style sheet and its script.
const WEIGHT = 60_000;
const FIRST_BYTE = 100;

/** A thousand users who were delivered, and 99 copies of each of them, the first nine of which have a history. */
async function fill(server, database) {
  const people = Array.from({ length: 1000 }, (_, index) => {
    const fields = { first_name: NAMES[index % 10], last_name: `Quint ${index}`, email: `${NAMES[index % 10]}.${index}@example.com` };
    return user(`user_${String(index).padStart(3, "0")}`, `directory_${index % 5}`, DAY + index, fields);
  });
  const team = group("group_0", "directory_0", DAY);
  await server.deliver(Array.from({ length: 5 }, (_, index) => event("activated", DAY, directory(`directory_${index}`, `Company ${index}`, DAY))));
  await server.deliver([event("group.created", DAY, team), ...people.map((it) => event("user.created", DAY, it))]);
  await server.deliver(people.map((it) => event("group.user_added", DAY + 5000, membership(it, team))));
  const copies = (count) => `WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ${count}) SELECT t.*, n.n FROM`;
  const copy = (count, table, columns) => `
    CREATE TEMP TABLE copy AS ${copies(count)} workos_mirror_${table} t, n WHERE t.user_id IS NOT NULL;
    UPDATE copy SET user_id = user_id || '_' || n${columns.includes("event_id") ? ", event_id = event_id || '_' || n" : ""};
    INSERT INTO workos_mirror_${table} (${columns}) SELECT ${columns} FROM copy;
    DROP TABLE copy;`;
  database.sql(`BEGIN;
    CREATE TEMP TABLE copy AS ${copies(99)} workos_mirror_user t, n;
    UPDATE copy SET id = id || '_' || n, email = replace(email, '@', '_' || n || '@'),
      email_key = replace(email_key, '@', '_' || n || '@'), last_name = last_name || '_' || n;
    ALTER TABLE copy DROP COLUMN n;
    INSERT INTO workos_mirror_user SELECT * FROM copy;
    DROP TABLE copy;
    ${copy(99, "member", "group_id, user_id, op_event, op_at, op_removed, absent_at")}
    ${copy(9, "applied", "event_id, name, directory_id, group_id, user_id, happened_at, arrived_at, changes")}
    ${copy(9, "change", "kind, directory_id, group_id, user_id, fields, event_id, happened_at, recorded_at")}
    COMMIT;`);
}

const ids = (page) =>
  page.$$eval("table.users tbody a[href^='user?']", (links) => links.map((it) => new URL(it.href).searchParams.get("id")));

/** The ids of a list, page by page, through its links. */
async function walk(page, most) {
  const all = await ids(page);
  for (let pages = 1; pages < most; pages += 1) {
    const next = page.locator("a[rel=next]");
    if ((await next.count()) === 0) break;
    await Promise.all([page.waitForNavigation({ waitUntil: "domcontentloaded" }), next.click()]);
    all.push(...(await ids(page)));
  }
  assert.equal(new Set(all).size, all.length, "a user is on two pages");
  return all;
}

const quantile = (values, share) => values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)];

async function measure(page, url, name, limit = FIRST_BYTE) {
  const times = [];
  let weight = 0;
  for (let load = 0; load < LOADS; load += 1) {
    const response = await page.goto(url);
    assert.equal(response.status(), 200, url);
    const [time, bytes] = await page.evaluate(() => {
      const [document] = performance.getEntriesByType("navigation");
      const all = [document, ...performance.getEntriesByType("resource").filter((it) => /\.(css|js)$/.test(it.name))];
      return [document.responseStart - document.requestStart, all.reduce((sum, it) => sum + it.encodedBodySize, 0)];
    });
    times.push(time);
    weight = Math.max(weight, bytes);
  }
  const [median, high] = [quantile(times, 0.5), quantile(times, 0.95)];
  console.log(`${name.padEnd(34)} first byte ${median.toFixed(1)} ms (95 %: ${high.toFixed(1)} ms), ${weight} bytes`);
  assert.ok(weight > 5_000 && weight <= WEIGHT, `${name}: ${weight} bytes`);
  // The median, because other processes of the machine can delay some loads.
  if (limit) assert.ok(median <= limit, `${name}: ${median} ms`);
}

for (const kind of ["sqlite", "postgres"]) {
  test(`100 000 users (${kind})`, () =>
    withServer(kind, async (first, database) => {
      const begin = performance.now();
      await fill(first, database);
      console.log(`${kind}: filled in ${((performance.now() - begin) / 1000).toFixed(1)} s`);
      await first.stop();
      // A database has statistics after some time.
      database.sql("ANALYZE;");
      const server = await start(database);
      try {
        await withTab({}, async (page) => {
          await page.goto(`${server.page}/users`);
          const begin = await walk(page, 5);
          assert.equal(begin.length, 250);
          assert.deepEqual(begin, begin.toSorted());
          await page.goto(`${server.page}/users?after=user_998_95`);
          const end = await walk(page, 10);
          assert.equal(end.at(-1), "user_999_99");
          assert.equal(end.length, 104);
          await page.goto(`${server.page}/directory?id=directory_1`);
          assert.match(await page.locator("main").innerText(), /more than 10\D?000/);

          const search = async (text) => {
            await page.goto(`${server.page}/users`);
            await page.getByRole("searchbox").fill(text);
            await Promise.all([page.waitForNavigation(), page.getByRole("searchbox").press("Enter")]);
            return walk(page, 100);
          };
          assert.deepEqual(await search("user_123_45"), ["user_123_45"]);
          assert.deepEqual(await search("MARY.123_45@EXAMPLE"), ["user_123_45"]);
          assert.deepEqual(await search("quint 123_45"), ["user_123_45"]);
          assert.deepEqual(await search("nobody"), []);
          // All of the users 120 to 129.
          assert.equal((await search("user_12")).length, 1000);

          const deep = page.url();
          assert.match(deep, /after=/);
          const paths = {
            overview: "overview", users: "users", "users, last pages": "users?after=user_990", "search for a name": "users?q=ada+quint",
            "search for a last name": "users?q=quint+5", "search for an address": "users?q=grace.1", "search for an id": "users?q=user_5",
            "search in a directory": "users?q=ada&directory=directory_0&access=yes", "search in a group": "users?q=grace&group=group_0",
            "search that finds nothing": "users?q=nobody", "members of a group": "group?id=group_0", groups: "groups",
            user: "user?id=user_123_4", changes: "changes", "older changes": "changes?before=1000",
          };
          for (const [name, path] of Object.entries(paths)) await measure(page, `${server.page}/${path}`, `${kind}: ${name}`);
          await measure(page, deep, `${kind}: last page of a search`);
          // This counts up to 10 000 users twice.
          await measure(page, `${server.page}/directory?id=directory_1`, `${kind}: directory of 20 000 users`, 0);
          // All users have access, so this reads all of them.
          await measure(page, `${server.page}/users?access=no`, `${kind}: users without access`, 0);
        });
      } finally {
        server.kill();
      }
    }));
}
