// Markdown: a README as elements. What is HTML in it is text; a link opens nothing but the web, or a file of the package.
import { code } from "./code.js";
import { el, put } from "./dom.js";
import { cut, oneLine, visible } from "../text.js";

const MOST = 400_000;
const MOST_LINE = 10_000;
const MOST_INLINE = 20_000;
const DEEPEST = 6;

/** ``follow``: { web(url), file(path) }, who opens what a link names. */
export function markdown(text, follow) {
  const lines = visible(text.slice(0, MOST))
    .replace(/\r\n?/g, "\n")
    .split("\n")
    .map((line) => cut(line, MOST_LINE));
  return el("div", { class: "markdown", dir: "auto" }, blocks(lines, follow, 0));
}

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+-]*)/;
const HEADING = /^ {0,3}(#{1,6})[ \t]+(.*)$/;
const RULE = /^ {0,3}([-*_])(\s*\1){2,}\s*$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const QUOTE = /^ {0,3}> ?/;
const SIGNS = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: "\u00a0",
  copy: "\u00a9",
  reg: "\u00ae",
  deg: "\u00b0",
  micro: "\u00b5",
  plusmn: "\u00b1",
  times: "\u00d7",
  mdash: "\u2014",
  ndash: "\u2013",
  hellip: "\u2026",
  rarr: "\u2192",
  larr: "\u2190",
  alpha: "\u03b1",
  beta: "\u03b2",
  mu: "\u03bc",
};
const DELIMITER = /^[\s|:-]{1,2000}$/;

function blocks(lines, follow, depth) {
  const made = [];
  let at = 0;
  const while_ = (test) => {
    const taken = [];
    while (at < lines.length && test(lines[at], taken.length)) taken.push(lines[at++]);
    return taken;
  };
  while (at < lines.length) {
    const line = lines[at],
      fence = FENCE.exec(line),
      heading = HEADING.exec(line);
    if (!line.trim()) at++;
    else if (fence) {
      at++;
      const inner = while_((one) => !one.trimStart().startsWith(fence[1]));
      at++;
      made.push(code(inner.join("\n"), fence[2]));
    } else if (heading) {
      at++;
      made.push(
        el(`h${Math.min(6, heading[1].length + 1)}`, {}, inline(heading[2].trim().replace(/ #{1,20}$/, ""), follow)),
      );
    } else if (RULE.test(line)) {
      at++;
      made.push(el("hr"));
    } else if (QUOTE.test(line) && depth < DEEPEST) {
      made.push(
        el(
          "blockquote",
          {},
          blocks(
            while_((one) => QUOTE.test(one)).map((one) => one.replace(QUOTE, "")),
            follow,
            depth + 1,
          ),
        ),
      );
    } else if (ITEM.test(line) && depth < DEEPEST)
      made.push(
        list(
          while_(
            (one, count) =>
              !count || ITEM.test(one) || /^\s+\S/.test(one) || (!one.trim() && /^\s+\S/.test(lines[at + 1] ?? "")),
          ),
          follow,
          depth,
        ),
      );
    else if (line.includes("|") && DELIMITER.test(lines[at + 1] ?? "") && lines[at + 1].includes("-"))
      made.push(
        table(
          while_((one) => one.includes("|")),
          follow,
        ),
      );
    else if (/^( {4}|\t)/.test(line))
      made.push(
        code(
          while_((one) => /^( {4}|\t)/.test(one) || !one.trim())
            .map((one) => one.replace(/^( {4}|\t)/, ""))
            .join("\n")
            .trimEnd(),
        ),
      );
    else {
      const taken = while_(
        (one, count) =>
          !count ||
          (one.trim() &&
            !FENCE.test(one) &&
            !HEADING.test(one) &&
            !QUOTE.test(one) &&
            !ITEM.test(one) &&
            !RULE.test(one)),
      );
      made.push(el("p", { dir: "auto" }, inline(taken.join("\n"), follow)));
    }
  }
  return made;
}

function list(lines, follow, depth) {
  const first = ITEM.exec(lines[0]),
    isOrdered = /\d/.test(first[2]),
    made = el(
      isOrdered ? "ol" : "ul",
      isOrdered && Number.parseInt(first[2], 10) !== 1 ? { start: Number.parseInt(first[2], 10) } : {},
    );
  let inner = [];
  const end = () => {
    if (inner.length) put(made, item(inner, follow, depth));
    inner = [];
  };
  for (const line of lines) {
    const found = ITEM.exec(line);
    if (found && found[1].length <= first[1].length + 1) {
      end();
      inner = [found[3]];
    } else inner.push(line.replace(new RegExp(`^\\s{1,${first[1].length + first[2].length + 1}}`), ""));
  }
  end();
  return made;
}

function item(lines, follow, depth) {
  const task = /^\[([ xX])\]\s+/.exec(lines[0]);
  if (task) lines[0] = `${task[1] === " " ? "☐" : "☑"} ${lines[0].slice(task[0].length)}`;
  const made = blocks(lines, follow, depth + 1);
  return el(
    "li",
    { dir: "auto" },
    made.length && made[0].tagName === "P" ? [...made[0].childNodes] : made[0],
    made.slice(1),
  );
}

function table(lines, follow) {
  const cells = (line) =>
    line
      .trim()
      .replace(/^\||\|$/g, "")
      .split(/(?<!\\)\|/)
      .map((one) => one.trim().replaceAll("\\|", "|"));
  const [head, rule, ...rows] = lines.map(cells);
  const side = (number) => ({
    class: /^-+:$/.test(rule[number] ?? "") ? "right" : /^:-+:$/.test(rule[number] ?? "") ? "middle" : null,
  });
  return el(
    "div",
    { class: "scrolling", tabindex: "0", role: "region", "aria-label": "Table" },
    el(
      "table",
      { class: "plain" },
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          head.map((one, number) => el("th", { scope: "col", dir: "auto", ...side(number) }, inline(one, follow))),
        ),
      ),
      el(
        "tbody",
        {},
        rows.map((row) =>
          el(
            "tr",
            {},
            head.map((_, number) => el("td", { dir: "auto", ...side(number) }, inline(row[number] ?? "", follow))),
          ),
        ),
      ),
    ),
  );
}

// In this order: code, picture, link, bare address, strong, emphasis, struck out, escaped character, forced break.
const INLINE =
  /(`{1,3})((?:(?!`)[^]){1,2000})\1(?!`)|!\[([^\[\]]{0,300})\]\(\s{0,3}<?([^()\s<>]{0,1000})>?(?:\s[^()]{0,300})?\)|\[(!\[[^\[\]]{0,300}\]\([^()\s]{0,1000}\)|[^\[\]]{0,300})\]\(\s{0,3}<?([^()\s<>]{0,1000})>?(?:\s[^()]{0,300})?\)|<?(https?:\/\/[^\s<>"'`)\]]{1,2000})>?|\*\*(?=\S)([^*]{1,2000}?)\*\*|__(?=\S)([^_]{1,2000}?)__(?!\w)|\*(?=[^\s*])([^*]{1,2000}?)\*|(?<!\w)_(?=[^\s_])([^_]{1,2000}?)_(?!\w)|~~([^~]{1,2000}?)~~|\\([!-/:-@[-`{-~])|&(#\d{1,7}|#x[\da-f]{1,6}|[a-z]{2,6});|(?:(?<! ) {2,}|\\)\n/g;

function inline(text, follow, depth = 0) {
  const made = [];
  let end = 0;
  for (const one of (text.length > MOST_INLINE ? "" : text).matchAll(INLINE)) {
    made.push(text.slice(end, one.index));
    end = one.index + one[0].length;
    const [, , coded, pictureText, picture, linkText, link, bare, strong1, strong2, em1, em2, struck, escaped, sign] =
      one;
    const inside = (part) => (depth < DEEPEST ? inline(part, follow, depth + 1) : part);
    if (coded !== undefined) made.push(el("code", {}, oneLine(coded.trim())));
    else if (picture !== undefined)
      made.push(linked(el("span", {}, `Picture: ${pictureText || picture}`), picture, follow));
    else if (link !== undefined) made.push(linked(el("span", {}, inside(linkText)), link, follow));
    else if (bare !== undefined) made.push(linked(el("span", {}, bare), bare, follow));
    else if (strong1 !== undefined || strong2 !== undefined) made.push(el("strong", {}, inside(strong1 ?? strong2)));
    else if (em1 !== undefined || em2 !== undefined) made.push(el("em", {}, inside(em1 ?? em2)));
    else if (struck !== undefined) made.push(el("del", { class: "struck" }, inside(struck)));
    else if (escaped !== undefined) made.push(escaped);
    else if (sign !== undefined) made.push(signOf(sign) ?? one[0]);
    else made.push(el("br"));
  }
  made.push(text.slice(end));
  return made;
}

function signOf(name) {
  if (name[0] !== "#") return SIGNS[name];
  const number = name[1] === "x" ? Number.parseInt(name.slice(2), 16) : Number.parseInt(name.slice(1), 10);
  return number > 0 && number <= 0x10ffff ? visible(String.fromCodePoint(number)) : undefined;
}

/** A button, as a link of a package goes through the host: it tells its whole address first. */
function linked(inner, target, follow) {
  const isWeb = /^https?:\/\//i.test(target),
    isFile = !isWeb && !/^[a-z][a-z0-9+.-]*:/i.test(target) && !target.startsWith("#") && !target.startsWith("//");
  if (!isWeb && !isFile) return el("span", {}, inner, " (", oneLine(target), ")");
  const act = () => (isWeb ? follow.web(target) : follow.file(target.replace(/[?#].*$/s, "")));
  return el("button", { type: "button", class: "link", title: oneLine(target), onclick: act }, inner);
}
