// Playwright, asked from Python: each line of standard input names an object and a chain of its methods, each line of standard
// output holds what the last of them gave. What a method gives that is no plain value (a page, a locator) is kept under a number
// when asked to be. The pages' own trouble (errors, requests, dialogs) is collected for whoever asks.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { modules, chromium: executablePath, home } = JSON.parse(process.argv[2]);
const { chromium } = createRequire(modules + "/")("playwright-core");
const browser = await chromium.launch({
  executablePath,
  args: ["--disable-gpu", "--disable-dev-shm-usage", "--no-sandbox", "--force-color-profile=srgb"],
  env: { HOME: home, PATH: "/usr/bin:/bin", LANG: "C.UTF-8" },
});
const kept = new Map([[0, browser]]);
let count = 0;

// Playwright asks for a callback where a test wants no more than "answer so".
const ANSWERS = {
  file: ({ path, type }) => (route) => route.fulfill({ path, contentType: type }),
  folder: ({ folder, at }) => (route) => route.fulfill({ path: folder + new URL(route.request().url()).pathname.slice(at.length) }),
  text: ({ body, type, headers }) => (route) => route.fulfill({ body, contentType: type, headers }),
  abort: () => (route) => route.abort(),
};

function given(value) {
  if (Array.isArray(value)) return value.map(given);
  if (value === null || typeof value !== "object") return value;
  if ("$kept" in value) return kept.get(value.$kept);
  if ("$pattern" in value) return new RegExp(value.$pattern, value.flags ?? "");
  if ("$text" in value) return readFileSync(value.$text, "utf8");
  if ("$function" in value) return (0, eval)(`(${value.$function})`);
  if ("$answer" in value) return ANSWERS[value.$answer](value);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, given(one)]));
}

function watch(page) {
  const seen = (page.seen = { errors: [], console: [], requests: [], dialogs: [], popups: [], downloads: [] });
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("console", (said) => said.type() === "error" && seen.console.push(said.text()));
  page.on("request", (request) => seen.requests.push(request.url()));
  page.on("popup", (other) => seen.popups.push(other.url()));
  page.on("download", async (file) => seen.downloads.push(await file.path()));
  page.on("dialog", (dialog) => (seen.dialogs.push(dialog.message()), dialog.dismiss()));
  return page;
}

async function answer({ on, chain, keep }) {
  let value = kept.get(on);
  for (const [name, ...args] of chain) {
    const member = value[name];
    value = await (typeof member === "function" ? member.apply(value, given(args)) : member);
    if (name === "newPage") watch(value);
  }
  if (!keep) return value ?? null;
  kept.set(++count, value);
  return count;
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  const told = await answer(asked).then(
    (value) => ({ value }),
    (error) => ({ error: String(error.message ?? error) }),
  );
  process.stdout.write(JSON.stringify(told) + "\n");
}
await browser.close();
