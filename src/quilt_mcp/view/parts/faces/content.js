// Content: what is in one file, by what kind the server says it is.
import { code } from "../elements/code.js";
import { button, el, facts, fill, notice, put, waiting } from "../elements/dom.js";
import { jsonTree } from "../elements/json_tree.js";
import { markdown } from "../elements/markdown.js";
import { notebook } from "../elements/notebook.js";
import { picture } from "../elements/picture.js";
import { dataGrid, fileTable } from "../elements/table.js";
import { baseName, exact, extension, sizeText } from "../text.js";

const MOST_TEXT = 200_000;
const MOST_PARSED = 2_000_000;
const MARKDOWN = ["md", "markdown", "qmd", "rmd"];
const AS_TEXT = ["svg", "html", "htm", "xml"];

/** ``view``: { calls, actions, follow }. ``file``: { uri, path, size }. Fills ``room`` and resolves when something is to be seen. */
export async function showContent(room, view, file, info) {
  const name = baseName(file.path ?? file.uri),
    ending = extension(name);
  fill(room, waiting("Reading the file"));
  try {
    info ??= await view.calls.read(file, { mode: "info" });
    const inside = info.data.inside ?? {};
    if (info.data.archive && info.data.archive.state !== "restored")
      fill(
        room,
        notice({
          message: "This file is archived: its bytes cannot be read before it is restored.",
          next: "Ask for object_restore in the conversation, or run quilt-mcp restore.",
        }),
      );
    else if (info.data.size === 0) fill(room, el("p", { class: "quiet" }, "The file is empty."));
    else if (inside.columns && Object.keys(inside.columns).length)
      fill(
        room,
        fileTable({
          inside,
          name,
          read: (rows) => view.calls.read(file, { mode: "rows", rows }),
          save: (columns, rows) => view.actions.saveRows(name, columns, rows),
        }),
        rest(inside, ["columns", "columns_total", "first", "faults", "rows", "kind"]),
      );
    else if (ending === "ipynb") await showNotebook(room, view, file);
    else if (isImage(info.data.type, ending)) fill(room, await picture(await view.calls.read(file, {}), name));
    else if (["json", "geojson"].includes(ending) && info.data.size <= MOST_PARSED) await showJson(room, view, file);
    else await showText(room, view, file, info, MARKDOWN.includes(ending));
  } catch (problem) {
    if (problem.code === "not_text" || problem.code === "no_image") await showAbout(room, info, problem);
    else
      fill(
        room,
        notice(problem, () => showContent(room, view, file)),
      );
  }
}

function isImage(type, ending) {
  return /^image\//.test(type ?? "") && !AS_TEXT.includes(ending);
}

async function showNotebook(room, view, file) {
  const { text, isWhole } = await view.calls.text(file, MOST_PARSED);
  try {
    if (!isWhole) throw new Error();
    fill(room, notebook(text, view.follow(file)));
  } catch {
    const read = await view.calls.read(file, {});
    fill(room, el("p", { class: "quiet" }, "Its cells as text."), code(read.data.text ?? "", ""));
  }
}

async function showJson(room, view, file) {
  const { text } = await view.calls.text(file, MOST_PARSED);
  try {
    const value = JSON.parse(text, exact);
    twoWays(room, ["Tree", () => jsonTree(value, 3)], ["Text", () => code(text, "json")]);
  } catch {
    fill(
      room,
      el("p", { class: "quiet" }, "This is no whole JSON document; here it is as text."),
      code(text.slice(0, MOST_TEXT), "json"),
    );
  }
}

async function showText(room, view, file, info, isMarkdown) {
  const asked = await view.calls.read(file, { length: 48_000 });
  if (asked.picture) return fill(room, await picture(asked, baseName(file.path ?? file.uri)));
  if (typeof asked.data.text !== "string") return showAbout(room, asked);
  const parts = el("div", {}),
    ending = extension(file.path ?? file.uri);
  const shown = (text) => code(text, ending);
  if (isMarkdown && !asked.data.next_offset)
    return twoWays(
      room,
      ["Read", () => markdown(asked.data.text, view.follow(file))],
      ["Source", () => shown(asked.data.text)],
    );
  put(parts, shown(asked.data.text));
  fill(room, parts);
  more(asked.data.next_offset);

  function more(offset) {
    if (offset === undefined || offset === null) return;
    const next = button(`More (${sizeText(info.data.size - offset)} left)`, async () => {
      next.disabled = true;
      try {
        const { data } = await view.calls.read(file, { mode: "text", offset, length: 48_000 });
        next.remove();
        put(parts, shown(data.text ?? ""));
        more(data.next_offset);
      } catch (problem) {
        next.replaceWith(notice(problem));
      }
    });
    put(room, next);
  }
}

/** What the server can say of a file that is neither text nor table nor picture. */
async function showAbout(room, info, problem) {
  fill(
    room,
    problem && el("p", {}, problem.message),
    el(
      "p",
      {},
      `A file of the kind ${info.data.type ?? "unknown"}, which is not shown here. Download it to look at it.`,
    ),
    rest(info.data.inside ?? {}, []),
  );
}

/** What one result holds of a file, where no more can be asked for. */
export function showGiven(room, given, name) {
  const { data } = given;
  if (given.picture)
    picture(given, name).then(
      (made) => fill(room, made),
      (problem) => fill(room, notice(problem)),
    );
  else if (data.rows)
    fill(room, dataGrid({ columns: data.columns, rows: data.rows, label: `Rows of ${name}` }).element);
  else fill(room, code(data.text ?? "", extension(name)));
}

function rest(inside, leftOut) {
  const known = Object.fromEntries(
    Object.entries(inside).filter(([name]) => !leftOut.includes(name) && name !== "bytes_read"),
  );
  return (
    Object.keys(known).length > 0 &&
    el("details", {}, el("summary", {}, "What else is known of it"), jsonTree(known, 1))
  );
}

/** Two looks at one thing, and buttons for them. */
function twoWays(room, ...ways) {
  const shown = el("div", {}),
    choose = (number) => {
      buttons.forEach((one, at) => one.setAttribute("aria-pressed", String(at === number)));
      fill(shown, ways[number][1]());
    };
  const buttons = ways.map(([name], number) => button(name, () => choose(number)));
  fill(room, el("p", { class: "tools" }, buttons), shown);
  choose(0);
}

export function fileFacts(info, path) {
  const { data } = info;
  return facts(
    ["Size", sizeText(data.size)],
    ["Kind", data.type],
    ["Path", path && el("span", { dir: "auto" }, path)],
    ["Hash", data.hash && el("code", {}, `${data.hash.type} ${data.hash.value}`)],
  );
}
