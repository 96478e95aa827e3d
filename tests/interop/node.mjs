// The official Node SDK and the emulator of the `workos` package, a line of JSON in for a line of JSON out.
//
// Run in the folder into which both were installed.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(process.cwd(), "index.js"));
const { WorkOS } = require("@workos-inc/node");
const { webhooks } = new WorkOS("sk_test_unused", { clientId: "client_unused" });

// Not exported by the package, which is a command: taken by its place in it.
const emulatorFolder = join(process.cwd(), "node_modules", "workos", "dist", "emulate");
const emulated = (file) => import(pathToFileURL(join(emulatorFolder, file)).href);
const { signWebhookPayload } = await emulated("workos/webhook-signer.js");
const { createEmulator } = await emulated("index.js");

const actions = {
  // The SDK signs an object, as it would write it: what was signed is sent back.
  async sign({ secret, time, body }) {
    const payload = JSON.parse(body);
    const signature = await webhooks.computeSignature(time, payload, secret);
    return { header: `t=${time}, v1=${signature}`, body: JSON.stringify(payload) };
  },
  // Takes its time from the clock, which is set for it.
  async emulator_sign({ secret, time, body }) {
    const now = Date.now;
    Date.now = () => Number(time);
    try {
      return { header: signWebhookPayload(body, secret), body };
    } finally {
      Date.now = now;
    }
  },
  async verify({ secret, header, body }) {
    await webhooks.verifyHeader({ payload: JSON.parse(body), sigHeader: header, secret });
    return {};
  },
  async construct({ secret, header, body }) {
    const event = await webhooks.constructEvent({ payload: JSON.parse(body), sigHeader: header, secret });
    return { id: event.id };
  },
  // The emulator itself delivers what follows from creating a user.
  async emulator_deliver({ secret, url }) {
    const emulator = await createEmulator({ port: 0 });
    try {
      const post = async (path, body) => {
        const answer = await fetch(emulator.url + path, {
          method: "POST",
          headers: { authorization: `Bearer ${emulator.apiKey}`, "content-type": "application/json" },
          body: JSON.stringify(body),
        });
        if (answer.status !== 201) throw new Error(`${path} was answered ${answer.status}`);
        return answer.json();
      };
      await post("/webhook_endpoints", { endpoint_url: url, secret });
      const user = await post("/user_management/users", { email: "ada@example.com" });
      // It delivers without being waited for.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      return { id: user.id };
    } finally {
      await emulator.close();
    }
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { action, ...request } = JSON.parse(line);
  let answer;
  try {
    answer = { ok: true, ...(await actions[action](request)) };
  } catch (error) {
    answer = { ok: false, error: String(error.message ?? error) };
  }
  console.log(JSON.stringify(answer));
}
process.exit(0);
