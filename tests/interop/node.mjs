// The Node SDK: `node.mjs FOLDER sign` or `node.mjs FOLDER verify` answers every JSON line on stdin with one on stdout.
// FOLDER has the SDK in its `node_modules`.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const [folder, command] = process.argv.slice(2);
const require = createRequire(join(folder, 'index.js'));
const { WorkOS } = require('@workos-inc/node');
const { version } = require('@workos-inc/node/package.json');
const { webhooks } = new WorkOS('sk_test_interop');

// Up to version 8 the SDK takes the parsed body and signs its own rendering of it; later ones take the bytes.
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

// Whatever it throws is a refusal; the text is compared with the table of known ones.
async function attempt(check) {
  try {
    return { ok: true, ...(await check()) };
  } catch (error) {
    return { refused: `${error.name}: ${error.message}` };
  }
}

const answer = { sign, verify }[command];
for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line))));
}
