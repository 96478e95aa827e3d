// Runs the Node SDK in the `node_modules` of FOLDER: `node.mjs FOLDER sign`, `node.mjs FOLDER verify` and `node.mjs FOLDER list`
// read JSON lines from stdin and write one to stdout for each.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { isDeepStrictEqual } from 'node:util';

const [folder, command] = process.argv.slice(2);
const require = createRequire(join(folder, 'index.js'));
const { WorkOS } = require('@workos-inc/node');
const { version } = require('@workos-inc/node/package.json');
const { webhooks } = new WorkOS('sk_test_interop');

// Up to version 8 the SDK takes the parsed body and serializes it again; later versions take the bytes.
const parses = Number.parseInt(version, 10) <= 8;
const payload = (body) => (parses ? JSON.parse(body) : Buffer.from(body));

async function sign({ t, secret, body }) {
  const signature = await webhooks.computeSignature(t, payload(body), secret);
  return { header: `t=${t}, v1=${signature}`, body: parses ? JSON.stringify(JSON.parse(body)) : body };
}

async function verify({ secret, header, body }) {
  const options = () => ({ payload: payload(body), sigHeader: header, secret });
  return {
    signature: await attempt(async () => {
      await webhooks.verifyHeader(options());
      return {};
    }),
    event: await attempt(async () => {
      const event = await webhooks.constructEvent(options());
      if (event === undefined) throw new Error('constructEvent returned undefined');
      return { name: event.event, id: event.id };
    }),
  };
}

// Lists everything, page by page.
async function list({ host, port, key, events }) {
  const workos = new WorkOS(key, { apiHostname: host, port, https: false });
  const sync = workos.directorySync;
  const every = async (call, options) => {
    const items = [];
    let after;
    do {
      const page = await call({ ...options, after });
      items.push(...page.data);
      after = page.listMetadata.after;
    } while (after);
    return items;
  };

  const directories = await every((options) => sync.listDirectories(options), { limit: 1 });
  const [users, groups, memberships] = [[], [], []];
  for (const { id } of directories) {
    const page = await sync.listUsers({ directory: id });
    users.push(...(await page.autoPagination()));
    groups.push(...(await every((options) => sync.listGroups(options), { directory: id, limit: 5, order: 'asc' })));
  }
  for (const { id } of groups) {
    const members = await every((options) => sync.listUsers(options), { group: id, limit: 30 });
    memberships.push(...members.map((user) => ({ user_id: user.id, group_id: id })));
  }
  const singles = [
    [await sync.getDirectory(directories[0].id), directories[0]],
    [await sync.getUser(users[0].id), users[0]],
    [await sync.getGroup(groups[0].id), groups[0]],
  ];
  const happened = await every((options) => workos.events.listEvents(options), { events, limit: 100, order: 'asc' });
  return {
    directories: directories.map((it) => ({
      id: it.id,
      organization_id: it.organizationId,
      name: it.name,
      type: it.type,
      state: it.state,
      updated_at: it.updatedAt,
    })),
    users: users.map((it) => ({
      id: it.id,
      directory_id: it.directoryId,
      idp_id: it.idpId,
      email: it.email,
      first_name: it.firstName,
      last_name: it.lastName,
      state: it.state,
      role: it.role.slug,
      job_title: it.customAttributes.job_title,
      department_name: it.customAttributes.department_name,
      updated_at: it.updatedAt,
    })),
    groups: groups.map((it) => ({
      id: it.id,
      directory_id: it.directoryId,
      idp_id: it.idpId,
      name: it.name,
      updated_at: it.updatedAt,
    })),
    memberships,
    events: happened.map((event) => event.id),
    singles: singles.every(([one, listed]) => isDeepStrictEqual(one, listed)),
  };
}

// Any exception is a rejection; known.py lists the expected messages.
async function attempt(check) {
  try {
    return { ok: true, ...(await check()) };
  } catch (error) {
    return { rejected: `${error.name}: ${error.message}` };
  }
}

const answer = { sign, verify, list }[command];
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line))));
}
