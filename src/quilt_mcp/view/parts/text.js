// Text: how numbers, sizes and times are written, and how text from data is made safe to look at.

const UNITS = ["bytes", "KB", "MB", "GB", "TB", "PB"];

/** As people write it: 129 KB, decimal as disks are sold and S3 counts. */
export function sizeText(bytes) {
  if (typeof bytes !== "number") return "";
  let value = bytes, unit = 0;
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
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]|[\ud800-\udfff]/gu;

/** With characters that hide or turn text written out. Line feeds and tabs stay. */
export function visible(text) {
  return String(text).replace(HIDDEN, (one) => `\\u{${one.codePointAt(0).toString(16)}}`);
}

/** ``visible`` and on one line. */
export function oneLine(text) {
  return visible(String(text).replace(/[\t\n]+/g, " "));
}

export function cut(text, most) {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

/** The last part of a path, a folder's with its slash. */
export function baseName(path) {
  return path.slice(path.lastIndexOf("/", path.length - 2) + 1);
}

export function extension(path) {
  const name = baseName(path).toLowerCase().replace(/\.(gz|bz2|zst|xz)$/, "");
  const dot = name.lastIndexOf(".");
  return dot > 0 ? name.slice(dot + 1) : "";
}

export function bytesOf(base64) {
  const packed = atob(base64), bytes = new Uint8Array(packed.length);
  for (let place = 0; place < packed.length; place++) bytes[place] = packed.charCodeAt(place);
  return bytes;
}

export function csvOf(columns, rows) {
  const cell = (value) => {
    const text = value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
    return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}
