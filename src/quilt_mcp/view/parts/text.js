// Text: how numbers, sizes and times are written, and how text from data is made safe to look at.

const UNITS = ["bytes", "KB", "MB", "GB", "TB", "PB"];

/** As people write it: 129 KB, decimal as disks are sold and S3 counts. */
export function sizeText(bytes) {
  if (typeof bytes !== "number") return "";
  let value = bytes,
    unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  const named = unit === 0 && bytes === 1 ? "byte" : UNITS[unit];
  return `${value.toFixed(digits)} ${named}`;
}

export function countText(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

/** Local time, to the minute. What is no time stays as it is. */
export function timeText(iso, locale) {
  const moment = new Date(iso);
  if (Number.isNaN(moment.getTime())) return String(iso);
  return moment.toLocaleString(locale || undefined, { dateStyle: "medium", timeStyle: "short" });
}

// Controls, direction marks, what has no width, separators of lines, tags and lone surrogates: a reader must see that they are there.
const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]|[\ud800-\udfff]/gu;

// What joins and parts letters in these scripts, and pictures of several signs, belongs to their spelling.
const JOINED =
  /^[\p{Script=Arabic}\p{Script=Syriac}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Gurmukhi}\p{Script=Gujarati}\p{Script=Oriya}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Kannada}\p{Script=Malayalam}\p{Script=Sinhala}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Mongolian}\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f]$/u;

/** With characters that hide or turn text written out. Line feeds and tabs stay. */
export function visible(text) {
  return String(text).replace(HIDDEN, (one, place, whole) =>
    isSpelling(one, place, whole) ? one : `\\u{${one.codePointAt(0).toString(16)}}`,
  );
}

function isSpelling(one, place, whole) {
  if (one !== "\u200c" && one !== "\u200d") return false;
  const before = whole.slice(Math.max(0, place - 2), place).match(/.$/u)?.[0] ?? "",
    after = String.fromCodePoint(whole.codePointAt(place + 1) ?? 0);
  return JOINED.test(before) && JOINED.test(after);
}

/** ``visible`` and on one line. */
export function oneLine(text) {
  return visible(String(text).replace(/[\t\n]+/g, " "));
}

export function cut(text, most) {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

/** What a person can do, where an answer's next step names calls that a model would make. */
export function nextForPeople(problem) {
  const next = problem.next ?? "";
  if (!TOOLS.test(next)) return next;
  if (BY_CODE[problem.code]) return BY_CODE[problem.code];
  return next
    .split(/(?<=[.;])\s+/)
    .filter((one) => !TOOLS.test(one))
    .join(" ");
}

const TOOLS =
  /\b(?:packages_list|package_[a-z]+|object_[a-z]+|registry_list|workflow_list|sql_(?:query|tables)|role_switch|admin_[a-z]+|(?:call|calls|with) (?:search|status)|[a-z_]+=(?:true|false|page\.))\b/i;
const BY_CODE = {
  duplicate_key: "Give more columns as the key, so that each row has one of its own.",
  undecodable: "Download the file and look at it: it is not what its name says, or its lines differ.",
  not_a_table: "Only CSV, TSV, Parquet and JSON are compared as tables.",
  entry_not_found: "It is not in this revision: go back to the files.",
  package_not_found: "Look for its name among the packages.",
  revision_not_found: "Look for the revision in the package's history.",
  object_archived: "It has to be restored from the archive first: quilt-mcp restore.",
  hash_mismatch: "The file was changed or damaged since it was packaged. Verify the package: quilt-mcp verify.",
  object_not_found: "It was moved or deleted since it was packaged. Verify the package: quilt-mcp verify.",
  corrupt_manifest: "This revision is damaged. Look at an older one in the package's history.",
};

/** The last part of a path, a folder's with its slash. */
export function baseName(path) {
  return path.slice(path.lastIndexOf("/", path.length - 2) + 1);
}

export function extension(path) {
  const name = baseName(path)
    .toLowerCase()
    .replace(/\.(gz|bz2|zst|xz)$/, "");
  const dot = name.lastIndexOf(".");
  return dot > 0 ? name.slice(dot + 1) : "";
}

/** A reviver for JSON.parse: whole numbers beyond 2**53 stay as they are written, where the browser tells how that is. */
export function exact(_name, value, { source } = {}) {
  return typeof value === "number" &&
    Number.isInteger(value) &&
    !Number.isSafeInteger(value) &&
    /^-?\d+$/.test(source ?? "")
    ? source
    : value;
}

/** Whether the same call may do better in a moment. */
export function isPassing(problem) {
  return Boolean(problem.retryable) || ["offline", "silent"].includes(problem.code);
}

export function bytesOf(base64) {
  const packed = atob(base64),
    bytes = new Uint8Array(packed.length);
  for (let place = 0; place < packed.length; place++) bytes[place] = packed.charCodeAt(place);
  return bytes;
}

/** As programs read it: a cell keeps its characters, also those that a spreadsheet takes for a formula. */
export function csvOf(columns, rows) {
  const cell = (value) => {
    const text =
      value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
    return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}
