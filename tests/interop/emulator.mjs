// Runs the WorkOS emulator of the npm package `workos` in FOLDER. Reads and writes JSON lines.
//
// `emulator.mjs FOLDER sign`          signs with the emulator's function, in seconds and without a space;
// `emulator.mjs FOLDER deliver URL`   runs the emulator, which delivers its events to URL.
//
// The emulator's directory events have older names (`directory_user.created`), and it has no `dsync.*` events. So
// `deliver` does both: it creates and deletes directories in the emulator, and it emits our samples on the emulator's
// event bus, which wraps, signs and sends them like its own events.
//
// The emulator's modules are imported by path, because the public `createEmulator` listens on all interfaces. The
// application below needs no socket.

import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [folder, command, url] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(join(folder, 'dist/emulate', file)));

const print = (answer) => console.log(JSON.stringify(answer));

async function* queries() {
  for await (const line of createInterface({ input: process.stdin })) yield JSON.parse(line);
}

async function sign() {
  const { signWebhookPayload } = await load('workos/webhook-signer.js');
  const now = Date.now;
  for await (const { t, secret, body } of queries()) {
    // The function always signs with the current time, so that is replaced.
    Date.now = () => t;
    print({ header: signWebhookPayload(body, secret), body });
    Date.now = now;
  }
}

async function deliver() {
  const { createServer } = await load('core/index.js');
  const { workosPlugin } = await load('workos/index.js');
  const { getWorkOSStore } = await load('workos/store.js');
  const { app, store } = createServer(workosPlugin);
  const workos = getWorkOSStore(store);

  // The emulator doesn't expose the responses to its deliveries, so `fetch` is wrapped.
  const deliveries = [];
  const real = globalThis.fetch;
  globalThis.fetch = (to, options) => {
    const delivery = { header: options.headers['WorkOS-Signature'], body: options.body };
    const answered = real(to, options).then(
      (response) => ({ ...delivery, status: response.status }),
      (error) => ({ ...delivery, status: 0, error: String(error.cause ?? error) }),
    );
    deliveries.push(answered);
    return answered;
  };
  const call = async (method, path, body) => {
    const response = await app.request(path, {
      method,
      headers: { authorization: 'Bearer sk_test_default', 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`the emulator responded to ${method} ${path} with ${response.status}`);
    return response.status === 204 ? undefined : response.json();
  };

  for await (const { secret, events } of queries()) {
    const endpoint = await call('POST', '/webhook_endpoints', { endpoint_url: url, secret });
    if (events.length > 0) {
      const organization = await call('POST', '/organizations', { name: 'Łódź Fracht 北方貨運 🚚' });
      const directory = workos.directories.insert({
        object: 'directory',
        organization_id: organization.id,
        name: 'Łódź (Okta)',
        type: 'okta scim v2.0',
        state: 'linked',
      });
      workos.directoryGroups.insert({ object: 'directory_group', directory_id: directory.id, name: '営業 🚀' });
      workos.directoryUsers.insert({
        object: 'directory_user',
        directory_id: directory.id,
        email: 'zoë@northwind.example',
        state: 'active',
        groups: [],
      });
      await call('DELETE', `/directories/${directory.id}`);
      for (const event of events) store.getData('eventBus').emit(event);
    } else {
      // The secret isn't the server's; one event is enough.
      await call('POST', '/organizations', { name: 'Nobody' });
    }
    print({ deliveries: await Promise.all(deliveries.splice(0)) });
    await call('DELETE', `/webhook_endpoints/${endpoint.id}`);
  }
}

await { sign, deliver }[command]();
