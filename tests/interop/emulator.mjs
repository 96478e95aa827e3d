// The emulator of WorkOS in the npm package `workos`, whose folder is the first argument. JSON lines in and out:
//
// `emulator.mjs FOLDER sign`          signs with the emulator's function, in seconds and without a space;
// `emulator.mjs FOLDER deliver URL`   runs the emulator, which delivers what happens in it to URL.
//
// The emulator's own directory events have older names (`directory_user.created`), and it has no `dsync.*` event. So
// `deliver` lets both happen: directories that come and go in the emulator, under its names, and our samples under
// theirs, put into its event bus, which makes the envelope, signs and sends as for its own.
//
// Its modules are imported by path: the public `createEmulator` listens on every interface, and the application below
// needs no socket.

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
    // It always signs as of now; so now is when the case says.
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

  // The emulator tells nobody what its deliveries were answered.
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
    if (!response.ok) throw new Error(`the emulator answered ${method} ${path} with ${response.status}`);
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
      // Another secret than the server's: one event is enough.
      await call('POST', '/organizations', { name: 'Nobody' });
    }
    print({ deliveries: await Promise.all(deliveries.splice(0)) });
    await call('DELETE', `/webhook_endpoints/${endpoint.id}`);
  }
}

await { sign, deliver }[command]();
