// Times the official Node SDK, which is installed in the same folder. Reads { body, signature, secret, batches, times } as
// JSON from standard input and prints { package, runtime, microseconds: [one per batch] }.
import { readFileSync } from 'node:fs';
import { WorkOS } from '@workos-inc/node';

const manifest = new URL('node_modules/@workos-inc/node/package.json', import.meta.url);
const { version } = JSON.parse(readFileSync(manifest, 'utf8'));
const { body, signature, secret, batches, times } = JSON.parse(readFileSync(0, 'utf8'));
const { webhooks } = new WorkOS('unused');
const construct = (payload) => webhooks.constructEvent({ payload, sigHeader: signature, secret });

const event = await construct(body);
if (event.event !== 'dsync.user.updated' || event.data.state !== 'active') {
  throw new Error('unexpected event');
}
const rejected = await construct(`${body} `).then(() => false, () => true);
if (!rejected) {
  throw new Error('a changed body was accepted');
}

const microseconds = [];
for (let batch = 0; batch < batches; batch += 1) {
  const start = process.hrtime.bigint();
  for (let time = 0; time < times; time += 1) {
    await construct(body);
  }
  microseconds.push(Number(process.hrtime.bigint() - start) / 1000 / times);
}
const runtime = `Node ${process.versions.node}`;
console.log(JSON.stringify({ package: `@workos-inc/node ${version}`, runtime, microseconds }));
