// The example `app` as a process, and signed deliveries to it.
import { execFileSync, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SECRET = "whsec_of_the_browser";
const POSTGRES = process.env.TEST_POSTGRES_URL ?? "postgres://postgres@127.0.0.1:5432/postgres";

let schemas = 0;

function psql(sql) {
  execFileSync("psql", ["-qtA", "-v", "ON_ERROR_STOP=1", POSTGRES, "-c", sql], { stdio: ["ignore", "pipe", "pipe"] });
}

/** An empty database: `sqlite` or `postgres`. Its `sql` runs a script. */
export function database(kind) {
  if (kind === "sqlite") {
    const folder = mkdtempSync(join(tmpdir(), "page-"));
    const file = join(folder, "mirror.db");
    const sql = (script) => {
      const program = "import sqlite3, sys; sqlite3.connect(sys.argv[1], isolation_level=None).executescript(sys.stdin.read())";
      execFileSync("python3", ["-c", program, file], { input: script });
    };
    return { kind, url: `sqlite:${file}`, sql, drop: () => rmSync(folder, { recursive: true }) };
  }
  schemas += 1;
  const schema = `browser_${process.pid}_${schemas}`;
  psql(`CREATE SCHEMA ${schema}`);
  const url = `${POSTGRES}${POSTGRES.includes("?") ? "&" : "?"}options[search_path]=${schema}`;
  const sql = (script) => psql(`SET search_path = ${schema}; ${script}`);
  return { kind, url, sql, drop: () => psql(`SET client_min_messages = error; DROP SCHEMA ${schema} CASCADE`) };
}

/** Starts the example on a free port, with more variables. */
export async function start(database, variables = {}) {
  const own = { DATABASE_URL: database.url, PORT: "0", WORKOS_WEBHOOK_SECRET: SECRET };
  const env = { ...process.env, WORKOS_API_KEY: undefined, ...own, ...variables };
  const child = spawn(process.env.APP, { env, stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (data) => (output += data));
  const exited = once(child, "exit");
  exited.then(() => (child.isOver = true));
  while (!/for operators: (\S+)/.test(output)) {
    if (child.isOver) throw new Error(`the example ended: ${output}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const url = /listening on (\S+)/.exec(output)[1];
  return {
    url,
    page: /for operators: (\S+)/.exec(output)[1],
    port: Number(new URL(url).port),
    /** Delivers these events, a few at the same time. */
    deliver: (events, concurrency = 16) => deliver(`${url}/webhooks/workos`, events, concurrency),
    /** Sends SIGINT, and returns how many milliseconds the process still ran. */
    async stop() {
      const begin = performance.now();
      child.kill("SIGINT");
      const [code] = await exited;
      if (code !== 0) throw new Error(`the example ended with ${code}`);
      return performance.now() - begin;
    },
    kill: () => child.kill("SIGKILL"),
  };
}

/** Runs a test with a server on an empty database. */
export async function withServer(kind, test) {
  const storage = database(kind);
  const server = await start(storage);
  try {
    await test(server, storage);
  } finally {
    server.kill();
    storage.drop();
  }
}

async function deliver(url, events, concurrency) {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  let next = 0;
  const worker = async () => {
    while (next < events.length) {
      const event = events[next];
      next += 1;
      await post(url, agent, JSON.stringify(event));
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, events.length) }, worker));
  agent.destroy();
}

function post(url, agent, body) {
  const time = Date.now();
  const signature = createHmac("sha256", SECRET).update(`${time}.${body}`).digest("hex");
  const headers = {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "workos-signature": `t=${time}, v1=${signature}`,
  };
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST", agent, headers }, (response) => {
      response.resume();
      response.on("end", () => (response.statusCode === 200 ? resolve() : reject(new Error(`${response.statusCode}: ${body}`))));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** Delivers a simulated life, and checks that the application has the same state at its end. */
export async function simulate(server, options) {
  const to = ["--to", `${server.url}/webhooks/workos`, "--check", `${server.url}/state`];
  const env = { ...process.env, WORKOS_WEBHOOK_SECRET: SECRET };
  const child = spawn(process.env.DSYNC, ["simulate", ...to, ...options], { env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`dsync simulate ended with ${code}: ${output}`);
}
