// Runs the pages of a server in headless Chromium and prints what they say:
//     node browser.mjs CHROMIUM URL TASKS.json SCREENSHOTS
// TASKS: a list of {"page", "texts": [[text, pair or null]], "typed"}.
import { readFileSync } from "node:fs";
import { chromium } from "../../../export/web/node_modules/playwright-core/index.mjs";

const [executablePath, server, tasksFile, screenshots] = process.argv.slice(2);
const MINUTE_MS = 60_000;
const browser = await chromium.launch({
  executablePath,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
const context = await browser.newContext({ viewport: { width: 800, height: 900 } });
// A busy machine may be slow; it is what the page says that is tested.
context.setDefaultTimeout(2 * MINUTE_MS);
const requests = [];
const errors = [];
context.on("request", (request) => requests.push(request.url()));
context.on("weberror", (error) => errors.push(String(error.error())));

async function typed(name, text) {
  const page = await context.newPage();
  // MediaPipe would tell its maker of its use once a minute.
  await page.clock.install();
  await page.goto(`${server}/${name}/`);
  const status = page.locator("#status");
  await status.filter({ hasText: "Type a text" }).waitFor();
  await page.getByLabel("Text", { exact: true }).fill(text);
  await page.clock.runFor(1000);
  await page.locator("#labels li").first().waitFor();
  await page.screenshot({ path: `${screenshots}/${name}.png` });
  const shown = {
    best: await page.locator("#labels li.best span").first().textContent(),
    labels: await page.locator("#labels li").count(),
    latency: await page.locator("#latency").textContent(),
    facts: await page.locator("#facts").textContent(),
  };
  await page.clock.fastForward(2 * MINUTE_MS);
  await page.close();
  return shown;
}

async function classified(name, texts) {
  const page = await context.newPage();
  await page.route("**/page.js", (route) =>
    route.fulfill({ contentType: "text/javascript", body: "" }),
  );
  await page.goto(`${server}/${name}/`);
  const result = await page.evaluate(async (texts) => {
    const { loadClassifier } = await import(new URL("classifier.js", location));
    const classifier = await loadClassifier();
    const results = [];
    for (const [text, pair] of texts) {
      const result = await classifier
        .classify(text, pair)
        .catch((error) => ({ error: String(error.message ?? error) }));
      results.push(result);
    }
    return { runtime: classifier.runtime, results };
  }, texts);
  await page.close();
  return result;
}

const pages = {};
for (const { page, texts, typed: text } of JSON.parse(readFileSync(tasksFile, "utf8"))) {
  pages[page] = { shown: await typed(page, text), ...(await classified(page, texts)) };
}
await browser.close();
console.log(JSON.stringify({ pages, requests, errors }));
