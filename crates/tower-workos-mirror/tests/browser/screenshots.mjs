// Makes the pictures of the page in docs/images from a real run. `screenshots.mjs FOLDER` writes them.
//
// The companies and the people are fictitious. Nothing depends on chance, but the times follow the clock.
import { once } from "node:events";
import { statSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

import { close, context, live, tab, until } from "./browser.mjs";
import { directory, event, group, iso, membership, ulid, user } from "./events.mjs";
import { database, start } from "./server.mjs";

const folder = process.argv[2];
const LARGEST = 150_000; // bytes
const MINUTE = 60_000;
const now = Date.now();
const ago = (minutes) => now - minutes * MINUTE;

const FIRST = ["Amara", "Bruno", "Chiara", "Dmitri", "Elif", "Femi", "Greta", "Hiro", "Ines", "Jonas", "Kavya", "Lars", "Maren", "Nadia"];
const LAST = ["Okonkwo", "Silva", "Rossi", "Petrov", "Yılmaz", "Adeyemi", "Lindqvist", "Tanaka", "Moreau", "Weber", "Rao", "Holm", "Vogt", "Haddad"];
const COMPANIES = [
  ["Aldermoor Logistics", "okta scim v2.0", "active"],
  ["Brightwater Health", "azure scim v2.0", "active"],
  ["Cedar & Vale", "google workspace", "active"],
  ["Nordlicht Energie", "okta scim v2.0", "inactive"],
  ["Quayside Robotics", "generic scim v2.0", "active"],
];

const id = (kind, number) => `${kind}_${ulid(`${kind} ${number}`)}`;

function story() {
  const events = [];
  const homes = COMPANIES.map(([name, type, state], index) => directory(id("directory", index), name, ago(40_000 - index), { type, state, organization_id: id("org", index) }));
  for (const home of homes) events.push(event("activated", ago(40_000), home));
  let number = 0;
  const people = [];
  for (const [index, home] of homes.entries()) {
    const domain = `${COMPANIES[index][0].split(" ")[0].toLowerCase()}.example`;
    const teams = ["Engineering", "Finance", "Support"].map((name, team) => group(id("directory_group", 10 * index + team), home.id, ago(30_000), { name, organization_id: home.organization_id }));
    for (const team of teams) events.push(event("group.created", ago(30_000), team));
    for (let person = 0; person < 9; person += 1) {
      const [first, last] = [FIRST[(number * 5) % 14], LAST[(number * 3 + index) % 14]];
      const at = person < 8 ? ago(20_000 - number * 37) : ago([50, 76, 190, 2_900, 400][index]);
      const fields = {
        first_name: first, last_name: last, email: `${first}.${last}@${domain}`.toLowerCase().replace("ı", "i"), organization_id: home.organization_id,
        role: { slug: "member" }, custom_attributes: { department_name: teams[person % 3].name, job_title: ["Engineer", "Analyst", "Agent"][person % 3] },
      };
      const made = user(id("directory_user", number), home.id, at, fields);
      people.push(made);
      events.push(event("user.created", at, made), event("group.user_added", at + 1000, membership(made, teams[person % 3])));
      number += 1;
    }
  }
  return { events, people };
}

/** The person without access: deactivated, and an event from before that. */
function leaver(person) {
  const version = (at, fields) => event("user.updated", at, { ...person, custom_attributes: {}, ...fields, updated_at: iso(at) });
  return [
    version(ago(9_000), { role: { slug: "manager" } }),
    version(ago(31), { role: { slug: "manager" }, state: "inactive" }),
    version(ago(47), { role: { slug: "admin" } }),
  ];
}

/** Each event arrived soon after it happened, except the last one, which was lost at first. */
const arrivals = (late) => `
  UPDATE workos_mirror_applied SET arrived_at = happened_at + 1400000;
  UPDATE workos_mirror_change SET recorded_at = happened_at + 1400000;
  UPDATE workos_mirror_applied SET arrived_at = ${ago(12) * 1000} WHERE event_id = '${late.id}';`;

/** Writes the part of a page until the end of this element. */
async function picture(page, name, last) {
  const path = join(folder, name);
  const height = await page.locator(last).evaluate((it) => Math.ceil(it.getBoundingClientRect().bottom + scrollY));
  await page.setViewportSize({ width: page.viewportSize().width, height });
  await page.screenshot({ path, animations: "disabled", caret: "hide" });
  const { size } = statSync(path);
  console.log(`${name}: ${size} bytes`);
  if (size > LARGEST) throw new Error(`${name} has ${size} bytes`);
}

/** An API of WorkOS that lists what these events lead to. */
async function api(events) {
  const [directories, groups, users, members] = [new Map(), new Map(), new Map(), new Map()];
  for (const { event, data } of events) {
    const objects = event.includes("group.user") ? null : event.includes("group") ? groups : event.includes("user") ? users : directories;
    const known = objects?.get(data.id);
    if (objects && !(known && known.updated_at > data.updated_at)) objects.set(data.id, data);
    if (!objects) members.set(data.group.id, [...(members.get(data.group.id) ?? []), data.user.id]);
  }
  const list = (path, query) => {
    const of = (objects) => [...objects.values()].filter((it) => it.directory_id === query.get("directory"));
    if (path === "/directories") return [...directories.values()];
    if (path === "/directory_groups") return of(groups);
    if (path === "/directory_users" && query.has("group")) return (members.get(query.get("group")) ?? []).map((id) => users.get(id));
    if (path === "/directory_users") return of(users);
    return [];
  };
  const server = createServer((request, response) => {
    const url = new URL(request.url, "http://localhost");
    // All of it is one page.
    const data = url.searchParams.has("after") ? [] : list(url.pathname, url.searchParams);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ object: "list", data, list_metadata: { before: null, after: null } }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

const { events, people } = story();
const person = people[4];
const last = leaver(person);
const workos = await api([...events, ...last]);
const storage = database("sqlite");
const first = await start(storage);
await first.deliver(events, 1);
for (const it of last) await first.deliver([it], 1);
await first.stop();
storage.sql(arrivals(last.at(-1)));
const server = await start(storage, { WORKOS_API_KEY: "sk_test_of_the_pictures", WORKOS_API_BASE: workos.url });
try {
  await until("the first comparison", async () => (await (await fetch(`${server.page}/overview`)).text()).includes("The tables agreed"), 120_000);
  const shot = async (options, path, name, last = "body") => {
    const own = await context(options);
    const page = await tab(own);
    await page.goto(`${server.page}/${path}`);
    await live(page);
    await picture(page, name, last);
    await own.close();
  };
  const wide = { viewport: { width: 1240, height: 900 } };
  const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 };
  await shot(wide, "overview", "page-overview.png");
  await shot({ ...wide, colorScheme: "dark" }, "overview", "page-overview-dark.png");
  await shot(wide, `user?id=${person.id}`, "page-user.png", "table.history tbody tr:nth-child(2)");
  await shot(phone, `user?id=${person.id}`, "page-phone.png", "dl.facts > div:nth-child(2)");
} finally {
  server.kill();
  workos.close();
  storage.drop();
  await close();
}
