// Chromium, and what every test expects of every page.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.BROWSER_TOOLS}/`);
const { chromium } = require("playwright-core");
const axe = require("axe-core");

const ARGUMENTS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

let browser;

async function launched() {
  browser ??= chromium.launch({ executablePath: process.env.CHROMIUM, args: ARGUMENTS });
  return browser;
}

export const close = async () => browser && (await browser).close();

/** A browser with nothing stored. */
export async function context(options = {}) {
  const context = await (await launched()).newContext({ viewport: { width: 1400, height: 900 }, ...options });
  context.setDefaultTimeout(15_000);
  return context;
}

/** A tab. `problems` collects what no page may cause. */
export async function tab(context) {
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => {
    problems.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") problems.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const { origin } = new URL(request.url());
    const own = page.url() === "about:blank" ? origin : new URL(page.url()).origin;
    if (origin !== own) problems.push(`request: ${request.url()}`);
  });
  await page.exposeFunction("reportViolation", (text) => problems.push(`policy: ${text}`));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      window.reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
    });
  });
  page.problems = problems;
  return page;
}

/** Runs a test with a tab of a new browser, and fails if the page caused a problem. */
export async function withTab(options, test) {
  const own = await context(options);
  try {
    const page = await tab(own);
    await test(page, own);
    assert.deepEqual(page.problems, []);
  } finally {
    await own.close();
  }
}

/** Waits until the page receives live updates. */
export const live = (page) => page.waitForFunction(() => document.getElementById("live")?.classList.contains("on"));

/** Marks the document, so that a reload is noticed. */
export const mark = (page) => page.evaluate(() => void (window.isSame = true));
export const assertSame = async (page) => assert.equal(await page.evaluate(() => window.isSame), true, "the page was reloaded");

/** The violations that axe finds. */
export async function violations(page) {
  // As a debugger would: the page's policy would not let it in.
  await page.evaluate(axe.source);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((it) => it.html.slice(0, 200)).join(" | ")}`);
}

/** Waits until this returns something true. */
export async function until(what, condition, limit = 15_000) {
  const end = performance.now() + limit;
  let last;
  do {
    last = await condition();
    if (last) return last;
    await new Promise((resolve) => setTimeout(resolve, 50));
  } while (performance.now() < end);
  assert.fail(`not within ${limit} ms: ${what}`);
}
