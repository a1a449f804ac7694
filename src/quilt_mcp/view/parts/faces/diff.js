// Diff: two revisions: what was added, removed and changed, and what is different inside of a file.
import { el, fill, notice, button, dataText, put, waiting } from "../elements/dom.js";
import { jsonTree } from "../elements/json_tree.js";
import { twoPictures } from "../elements/picture.js";
import { partsOf, Place, withoutPath } from "../place.js";
import { tableDiff } from "../comparing/table_diff.js";
import { extension, oneLine, sizeText } from "../text.js";
import { textDiff } from "../comparing/text_diff.js";

const KINDS = [
  ["added", "Added"],
  ["removed", "Removed"],
  ["modified", "Changed"],
  ["renamed", "Renamed"],
  ["metadata_changed", "Metadata changed"],
];
const TABLES = ["csv", "tsv", "tab", "parquet", "pq", "jsonl", "ndjson", "json"];
const PICTURES = ["png", "jpg", "jpeg", "gif", "webp", "bmp", "tif", "tiff"];
const PACKED = ["parquet", "pq"];
const MOST_TEXT = 300_000;

export async function showDiff(room, view, place, given) {
  const { before: asked, after, path } = place.about;
  const first = given ?? (await view.calls.changes(asked, after, path)),
    data = first.data,
    old = data.before,
    now = first.uri || after;
  const { name, hash } = partsOf(now),
    was = partsOf(old);
  view.title(`Changes of ${name}`, [
    ["Files", () => view.go(new Place("browse", { uri: withoutPath(now) }))],
    ["History", () => view.go(new Place("history", { uri: withoutPath(now) }))],
  ]);
  const head = [
    el("h1", {}, view.crumbs(now, ""), " changes"),
    el(
      "p",
      { class: "quiet" },
      was.name !== name && [dataText(was.name), " "],
      el("code", {}, was.hash.slice(0, 10)),
      " → ",
      el("code", {}, hash.slice(0, 10)),
    ),
  ];
  if (data.tables) {
    const all = button("All changes", () =>
      view.go(new Place("diff", { before: withoutPath(old), after: withoutPath(now) })),
    );
    return fill(
      room,
      head,
      el("p", { class: "tools" }, all),
      tableDiff(async (more) => (Object.keys(more).length ? view.calls.tableChanges(old, now, path, more) : first)),
    );
  }
  const sections = Object.fromEntries(KINDS.map(([kind, title]) => [kind, { list: el("ul", {}), box: null, title }]));
  const add = (page) => {
    for (const [kind] of KINDS)
      for (const one of page.data[kind] ?? []) put(sections[kind].list, row(one, kind, view, old, now));
  };
  add(first);
  const more = (cursor) =>
    button("More changes", async (event) => {
      const pressed = event.currentTarget;
      pressed.disabled = true;
      try {
        const page = await view.calls.changes(old, now, path, cursor);
        add(page);
        for (const [kind] of KINDS) sections[kind].box.hidden = !sections[kind].list.children.length;
        if (page.page.next_cursor) pressed.replaceWith(more(page.page.next_cursor));
        else pressed.remove();
      } catch (problem) {
        pressed.replaceWith(notice(problem));
      }
    });
  const { totals } = data,
    said = Object.entries(totals)
      .filter(([, count]) => count)
      .map(([kind, count]) =>
        el(
          "span",
          { class: `count ${kind}` },
          `${count.toLocaleString("en")} ${kind === "metadata" ? "with other metadata" : kind}`,
        ),
      );
  fill(
    room,
    head,
    el("p", {}, said),
    data.message &&
      el(
        "p",
        { class: "message" },
        el("del", { dir: "auto" }, data.message.before ?? ""),
        " → ",
        el("b", { dir: "auto" }, data.message.after ?? ""),
      ),
    el(
      "p",
      { class: "tools" },
      button("Compare all tables", (event) =>
        event.currentTarget
          .closest("p")
          .replaceWith(tableDiff((more) => view.calls.tableChanges(old, now, path, more))),
      ),
    ),
    data.package_metadata &&
      el("details", { open: true }, el("summary", {}, "Metadata of the package"), fields(data.package_metadata)),
    KINDS.map(([kind, title]) => {
      const { list } = sections[kind];
      sections[kind].box = el(
        "section",
        { "aria-label": title, hidden: !list.children.length },
        el("h2", {}, title),
        list,
      );
      return sections[kind].box;
    }),
    first.page.next_cursor && more(first.page.next_cursor),
  );
  // Who asks for one file wants to see what is different in it.
  const looks = sections.modified.list.querySelectorAll("button.look");
  if (path && !path.endsWith("/") && looks.length === 1) looks[0].click();
}

function row(one, kind, view, old, now) {
  const isGone = kind === "removed",
    room = el("div", { class: "inner" }),
    was = one.old_path ?? one.path;
  const open = button(dataText(one.path), () => view.open({ uri: isGone ? old : now, path: one.path }), {
    class: "link",
  });
  const sizes =
    kind === "modified"
      ? `${sizeText(one.old_size)} → ${sizeText(one.size)}`
      : sizeText(isGone ? (one.old_size ?? one.size) : one.size);
  const look =
    kind === "modified" &&
    button(
      "Compare",
      () => {
        look.remove();
        inside(room, view, {
          before: { uri: old, path: was },
          after: { uri: now, path: one.path },
          size: Math.max(one.size ?? 0, one.old_size ?? 0),
        });
      },
      { class: "look" },
    );
  return el(
    "li",
    {},
    el(
      "p",
      {},
      open,
      one.old_path && one.old_path !== one.path && [" was ", dataText(one.old_path)],
      " ",
      el("span", { class: "quiet" }, sizes),
      " ",
      look,
    ),
    (one.metadata ?? one.fields) && fields(one.metadata ?? one.fields),
    room,
  );
}

/** What is different inside one file that is in both. */
function inside(room, view, { before, after, size }) {
  const ending = extension(after.path);
  if (TABLES.includes(ending)) {
    const ask = (more) => view.calls.tableChanges(before.uri, after.uri, after.path, more);
    const asText = () => lines(room, view, { before, after, size });
    return fill(room, tableDiff(ask, PACKED.includes(ending) ? null : asText));
  }
  if (PICTURES.includes(ending))
    return fill(
      room,
      twoPictures(
        () => view.calls.read(before),
        () => view.calls.read(after),
      ),
    );
  lines(room, view, { before, after, size });
}

/** Two texts, line by line. */
function lines(room, view, { before, after, size }) {
  if (size > MOST_TEXT)
    return fill(
      room,
      el("p", { class: "quiet" }, "The file is too long to be compared here. Open both revisions, or download them."),
    );
  fill(room, waiting("Reading both texts"));
  Promise.all([view.calls.text(before, MOST_TEXT), view.calls.text(after, MOST_TEXT)])
    .then(([old, now]) => {
      const found = textDiff(old.text, now.text);
      fill(room, found ?? el("p", { class: "quiet" }, "The two texts are too unlike to be shown line by line."));
    })
    .catch((problem) =>
      fill(
        room,
        problem.code === "not_text"
          ? el("p", { class: "quiet" }, "The file is not text; what it holds cannot be compared here.")
          : notice(problem),
      ),
    );
}

function fields(changes) {
  if (!Array.isArray(changes)) return jsonTree(changes, 1);
  return el(
    "ul",
    { class: "fields" },
    changes.map((one) =>
      el(
        "li",
        {},
        dataText(one.field || "all of it", { class: "data name" }),
        ": ",
        "before" in one && el("del", { dir: "auto" }, oneLine(JSON.stringify(one.before))),
        " ",
        "after" in one && el("b", { dir: "auto" }, oneLine(JSON.stringify(one.after))),
      ),
    ),
  );
}
