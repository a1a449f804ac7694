// Code: text with the words of its language marked. Made of spans with text, never of markup.
import { el, put } from "./dom.js";
import { visible } from "../text.js";

// A string that does not end, ends with its line: or each quote of a long line would be looked after to its end.
const STRINGS = String.raw`"(?:\\.|[^"\\\n])*(?:"|$)|'(?:\\.|[^'\\\n])*(?:'|$)`;
const NUMBER = String.raw`\b(?:0x[\da-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\b`;
const WORDS = {
  python:
    "and as assert async await break class continue def del elif else except False finally for from global if import in is lambda None nonlocal not or pass raise return True try while with yield match case",
  r: "if else repeat while function for in next break TRUE FALSE NULL NA NaN Inf library require",
  javascript:
    "async await break case catch class const continue default delete do else export extends false finally for from function if import in instanceof let new null of return static super switch this throw true try typeof undefined var void while yield",
  shell: "if then else elif fi for in do done while until case esac function return export local set echo cd exit",
  sql: "select from where group by order having join left right inner outer on as and or not null is in between like limit with union all distinct insert update delete create table case when then else end",
  json: "true false null",
  yaml: "true false null yes no",
  c: "auto break case char class const continue default delete do double else enum extern float for goto if inline int long namespace new public private return short signed sizeof static struct switch template this typedef union unsigned using void volatile while include define",
};
const COMMENT = {
  python: "#[^\\n]*",
  r: "#[^\\n]*",
  shell: "#[^\\n]*",
  yaml: "#[^\\n]*",
  javascript: "//[^\\n]*|/\\*[^]*?\\*/",
  c: "//[^\\n]*|/\\*[^]*?\\*/",
  sql: "--[^\\n]*|/\\*[^]*?\\*/",
};
const OF = {
  py: "python",
  r: "r",
  js: "javascript",
  mjs: "javascript",
  ts: "javascript",
  tsx: "javascript",
  jsx: "javascript",
  sh: "shell",
  bash: "shell",
  zsh: "shell",
  sql: "sql",
  json: "json",
  geojson: "json",
  yml: "yaml",
  yaml: "yaml",
  toml: "yaml",
  ini: "yaml",
  c: "c",
  h: "c",
  cpp: "c",
  hpp: "c",
  rs: "c",
  go: "c",
  java: "c",
  smk: "python",
  nf: "c",
  wdl: "c",
};
const MOST_MARKED = 200_000;

function languageOf(name) {
  const known = name.toLowerCase();
  return OF[known] ?? (known in WORDS ? known : null);
}

/** ``language``: an ending or a name; any other is plain text. */
export function code(text, language = "") {
  const known = languageOf(language),
    made = el("code", { dir: "ltr" }),
    shown = visible(text);
  if (!known || shown.length > MOST_MARKED) put(made, shown);
  else mark(made, shown, known);
  return el("pre", { class: "code", tabindex: "0", role: "group", "aria-label": "Text of the file" }, made);
}

function mark(made, text, language) {
  const words = new Set(WORDS[language].split(" ")),
    parts = [COMMENT[language] ?? "(?!)", STRINGS, NUMBER, "[A-Za-z_][A-Za-z_0-9]*"];
  const found = new RegExp(parts.map((part) => `(${part})`).join("|"), "gm");
  let end = 0;
  for (const one of text.matchAll(found)) {
    const kind =
      one[1] !== undefined
        ? "comment"
        : one[2] !== undefined
          ? "string"
          : one[3] !== undefined
            ? "number"
            : words.has(language === "sql" ? one[0].toLowerCase() : one[0])
              ? "word"
              : null;
    if (!kind) continue;
    put(made, text.slice(end, one.index), el("span", { class: kind }, one[0]));
    end = one.index + one[0].length;
  }
  put(made, text.slice(end));
}
