// Runs the Node SDK in the `node_modules` of FOLDER: `node.mjs FOLDER sign` and `node.mjs FOLDER verify` read JSON lines
// from stdin and write one to stdout for each.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

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

// Any exception is a rejection; known.py lists the expected messages.
async function attempt(check) {
  try {
    return { ok: true, ...(await check()) };
  } catch (error) {
    return { rejected: `${error.name}: ${error.message}` };
  }
}

const answer = { sign, verify }[command];
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line))));
}
