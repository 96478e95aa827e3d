// What customers' directories contain is shown as text.
import assert from "node:assert/strict";
import { test } from "node:test";

import { live, violations, withTab } from "./browser.mjs";
import { directory, event, group, membership, user } from "./events.mjs";
import { withServer } from "./server.mjs";

const DAY = Date.UTC(2026, 1, 3, 9);
const SCRIPT = `<script>window.isHacked = true</script>`;
const TEXTS = {
  script: SCRIPT,
  image: `"'><img src=x onerror="window.isHacked = true">`,
  link: `javascript:window.isHacked=true`,
  style: `</title></style><style>body{display:none}</style>`,
  arabic: "علي \u202Eevil\u202C \u2067right\u2069 ]]>",
  long: "n".repeat(10_000),
  wide: "W ".repeat(5_000),
  nul: "a\u0000b\u0001\u001b[31m\r\nc\u2028d",
  marks: `Z${"\u0301".repeat(500)}`,
  template: "{{7*7}} ${7*7} %s &lt;b&gt; &amp;",
  comment: "<!-- --> <![CDATA[",
  blank: "\u200b\u2800 ",
};

function events() {
  return Object.values(TEXTS).flatMap((text, index) => {
    const at = DAY + index * 1000;
    const fields = { name: text, idp_id: text, custom_attributes: { [text.slice(0, 100)]: text, nested: { text: [text] } } };
    const home = directory(`directory_${index}`, text, at, { domains: [{ id: "domain_1", domain: text }], state: index % 2 ? "active" : text });
    const names = { first_name: text, last_name: text, email: text, role: { slug: text }, state: index % 3 ? "active" : text };
    const person = user(`user_${index}`, home.id, at, { ...fields, ...names });
    const team = group(`group_${index}`, home.id, at, { name: text, idp_id: text });
    return [
      event("activated", at, home),
      event("group.created", at, team),
      event("user.created", at, person),
      event("group.user_added", at + 100, membership(person, team)),
      { ...event("user.updated", at + 200, { ...person, updated_at: new Date(at + 200).toISOString(), job_title: text }), id: `event_${text.slice(0, 200)}` },
      // The ids, too.
      event("user.created", at + 300, user(text, text, at + 300)),
    ];
  });
}

for (const kind of ["sqlite", "postgres"]) {
  test(`hostile texts are texts (${kind})`, () =>
    withServer(kind, (server) =>
      withTab({}, async (page) => {
        // Half of it arrives while the page is open.
        const all = events();
        await server.deliver(all.slice(0, all.length / 2));
        await page.goto(`${server.page}/changes`);
        await live(page);
        const before = await page.locator("#feed tr").count();
        await server.deliver(all.slice(all.length / 2));
        await page.waitForFunction((before) => document.querySelectorAll("#feed tr").length > before + 20, before);
        const paths = ["overview", "users", "groups", "changes"];
        const count = Object.keys(TEXTS).length;
        for (let index = 0; index < count; index += 1) {
          for (const kind of ["directory", "user", "group"]) paths.push(`${kind}?id=${kind}_${index}`);
        }
        for (const text of Object.values(TEXTS)) {
          paths.push(`users?q=${encodeURIComponent(text.slice(0, 1000))}`, `user?id=${encodeURIComponent(text)}`);
          paths.push(`users?q=&directory=${encodeURIComponent(text)}&access=no`, `groups?directory=${encodeURIComponent(text.slice(0, 500))}`);
        }
        for (const path of paths) {
          const response = await page.goto(`${server.page}/${path}`);
          assert.ok([200, 404].includes(response.status()), `${response.status()} for ${path.slice(0, 100)}`);
          const state = await page.evaluate(() => ({
            isHacked: window.isHacked,
            scripts: document.querySelectorAll("script").length,
            foreign: document.querySelectorAll("style, img, iframe, object, [onerror], [style], [onclick]").length,
            links: [...document.querySelectorAll("a")].filter((it) => it.protocol !== "http:").length,
            display: getComputedStyle(document.body).display,
            overflow: document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth,
            height: document.scrollingElement.scrollHeight,
          }));
          assert.equal(state.isHacked, undefined, path);
          assert.ok(state.scripts <= 1, path);
          assert.deepEqual([state.foreign, state.links, state.display], [0, 0, "block"], path);
          assert.equal(state.overflow, 0, `${path.slice(0, 100)} is too wide`);
          assert.ok(state.height < 20_000, `${path.slice(0, 100)} is ${state.height} px high`);
        }
        await page.goto(`${server.page}/user?id=user_0`);
        assert.match(await page.locator("main").innerText(), /<script>window\.isHacked = true<\/script>/);
        // The user with this name, and the one with this id, whose address starts with it.
        await page.goto(`${server.page}/users?q=${encodeURIComponent(SCRIPT)}`);
        assert.equal(await page.locator("table.users tbody tr").count(), 2);
        await page.setViewportSize({ width: 390, height: 844 });
        for (const path of ["overview", "users", "groups", "changes", "user?id=user_5", "user?id=user_6", "group?id=group_6", "directory?id=directory_5"]) {
          await page.goto(`${server.page}/${path}`);
          const overflow = await page.evaluate(() => document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth);
          assert.equal(overflow, 0, `${path} is too wide for a phone`);
        }
        // As the last step, because axe itself adds styles.
        assert.deepEqual(page.problems.filter((it) => !it.includes("404")), []);
        for (const path of ["overview", "users", "user?id=user_0"]) {
          await page.goto(`${server.page}/${path}`);
          assert.deepEqual(await violations(page), [], path);
        }
        page.problems.length = 0;
      })));
}
