// The view's modules that need no browser, each asked what it promises.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

// Node takes a file for a module by its ending or by a package's word: the folder of the wheel has neither.
const folder = mkdtempSync(join(tmpdir(), "view-"));
writeFileSync(join(folder, "package.json"), '{"type": "module"}');
cpSync(process.argv[2], folder, { recursive: true });
const load = (name) => import(pathToFileURL(join(folder, `${name}.js`)));

const { visible, sizeText, csvOf, nextForPeople, extension } = await load("text");
assert.equal(visible("a\u202eb\u0000c\td\ne"), "a\\u{202e}b\\u{0}c\td\ne");
assert.equal(visible("a\u200db"), "a\\u{200d}b");
for (const spelled of ["\u{1f469}\u200d\u{1f52c}", "می‌خواهم"]) assert.equal(visible(spelled), spelled);
assert.equal(visible("\ud800x"), "\\u{d800}x");
assert.deepEqual([0, 1, 999, 999_500, 1_234_567].map(sizeText), ["0 bytes", "1 byte", "999 bytes", "1.00 MB", "1.23 MB"]);
assert.equal(csvOf(["a", 'b"'], [[1, null], ["=1", "x,y"]]), 'a,"b"""\r\n1,\r\n=1,"x,y"\r\n');
assert.equal(nextForPeople({ code: "entry_not_found", next: "Call package_browse." }), "It is not in this revision: go back to the files.");
assert.equal(nextForPeople({ code: "x", next: "Call object_read." }), "");
assert.equal(extension("a/b.csv.gz"), "csv");

const { shortest } = await load("comparing/text_diff");
let seed = 7;
const random = (below) => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % below;
for (let round = 0; round < 2_000; round++) {
  const [old, now] = [0, 1].map(() => Array.from({ length: random(9) }, () => "abc"[random(3)]));
  const steps = shortest(old, now), kept = steps.filter((one) => one.kind === " ").length;
  assert.deepEqual(steps.filter((one) => one.kind !== "+").map((one) => one.text), old);
  assert.deepEqual(steps.filter((one) => one.kind !== "-").map((one) => one.text), now);
  const longest = old.reduceRight((rows, a) => [now.reduceRight((row, b, at) => [a === b ? 1 + (rows[0][at + 1] ?? 0) : Math.max(row[0] ?? 0, rows[0][at] ?? 0), ...row], []), ...rows], [[]])[0]?.[0] ?? 0;
  assert.equal(kept, longest, `${old} ${now}`);
}

const { Place, atRevision, withPath, partsOf, pathOf } = await load("place");
const whole = "quilt+s3://b#package=ns/name@0123456789&path=a/b.csv";
assert.deepEqual(partsOf(whole), { registry: "s3://b", name: "ns/name", hash: "0123456789", tag: "" });
assert.equal(atRevision(whole, ""), "quilt+s3://b#package=ns/name");
assert.equal(atRevision("quilt+file:///a@b:c#package=ns/name:tag", "99"), "quilt+file:///a@b:c#package=ns/name@99");
for (const path of ["a b/ü&#%.csv", "x+y?.txt"]) assert.equal(pathOf(withPath(whole, path)), path);
const place = new Place("diff", { before: "a&b", after: "c#d", path: "é" });
assert.deepEqual(Place.parse(place.key), place);
assert.equal(Place.parse("face=nonsense"), null);

const { quilt3Lines, shellLine, pandasLines } = await load("taking/snippets");
const odd = { uri: "quilt+file:///r's#package=ns/name@0123456789", path: "it's $(x) \u{1f600}\"\\.csv" };
for (const lines of [quilt3Lines(odd), pandasLines(odd)]) {
  const said = spawnSync("python3", ["-c", "import ast, sys\nfor one in ast.walk(ast.parse(sys.argv[1])):\n    if isinstance(one, ast.Constant): print(ascii(one.value))", lines], { encoding: "utf8" });
  assert.equal(said.status, 0, said.stderr);
  assert.ok(said.stdout.includes("\\U0001f600"), said.stdout);
}
const echoed = spawnSync("sh", ["-c", `said() { printf '%s|' "$@"; }; ${shellLine(odd).replace(/^quilt-mcp/, "said").replace(/ > .*$/s, "")}`], { encoding: "utf8" });
assert.ok(echoed.stdout.endsWith(`|cat|ns/name@0123456789/${odd.path}|`), echoed.stdout + echoed.stderr);
console.log("all held");
