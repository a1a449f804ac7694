// Browse: a revision: its files as a tree, its message, metadata, workflow and README.
import { button, dataText, el, facts, fill } from "../elements/dom.js";
import { jsonTree } from "../elements/json_tree.js";
import { markdown } from "../elements/markdown.js";
import { partsOf, pathOf, Place, withoutPath } from "../place.js";
import { summarized } from "./summary.js";
import { countText, sizeText, timeText } from "../text.js";
import { tree } from "../elements/tree.js";

export async function showBrowse(room, view, place, given) {
  const { match } = place.about,
    found = given ?? (await view.calls.folder(place.about.uri, place.about.path, null, match)),
    { data } = found,
    uri = withoutPath(found.uri),
    path = pathOf(found.uri) || data.path || "";
  if (data.entries?.length === 1 && path && data.entries[0].path === path && !path.endsWith("/"))
    return view.go(new Place("file", { uri, path }), { isInstead: true });
  const { name, hash, registry } = partsOf(uri),
    totals = data.shown ?? data.totals;
  const load = async (folder, cursor) => {
    const page = await view.calls.folder(uri, folder, cursor, folder === path ? match : null);
    return { entries: page.data.entries, cursor: page.page.next_cursor, total: page.page.total };
  };
  // A listing that was narrowed, or goes deeper than one folder, is not a tree's first page.
  const isPlain =
    !match &&
    data.entries &&
    data.entries.every((one) => one.path.startsWith(path) && !one.path.slice(path.length, -1).includes("/"));
  const first = match
    ? { entries: data.entries, cursor: found.page.next_cursor, total: found.page.total }
    : isPlain
      ? { entries: data.entries, cursor: found.page.next_cursor, total: found.page.total }
      : await load(path);
  view.title(path ? `${name}/${path}` : name, [
    ["Files", null],
    ["History", () => view.go(new Place("history", { uri }))],
  ]);
  const thing = { uri, path };
  const readme =
    typeof data.readme === "string" &&
    el(
      "section",
      { class: "readme", "aria-label": "README" },
      markdown(data.readme, view.follow({ uri, path: "README.md" })),
      data.readme_size > data.readme.length && button("The whole README", () => view.open({ uri, path: "README.md" })),
    );
  fill(
    room,
    el("h1", {}, view.crumbs(uri, path)),
    data.message && el("p", { class: "message", dir: "auto" }, data.message),
    el(
      "p",
      { class: "quiet" },
      `${countText(totals?.entries ?? 0, "file")}, ${sizeText(totals?.bytes ?? 0)}`,
      data.modified && ` · ${timeText(data.modified, view.host.locale)}`,
      hash && [" · revision ", el("code", {}, hash.slice(0, 10))],
      ` · ${data.verified === true ? "manifest verified" : data.verified === false ? "manifest not verified" : "manifest being verified"}`,
    ),
    found.warnings.length > 0 &&
      el(
        "ul",
        { class: "warnings" },
        found.warnings.map((one) => el("li", { dir: "auto" }, one)),
      ),
    match &&
      el(
        "p",
        { class: "tools" },
        el("strong", {}, "Only what fits ", el("code", {}, match)),
        button("Show all", () => view.go(new Place("browse", { uri, ...(path ? { path } : {}) }))),
      ),
    view.actions.bar(thing),
    tree({
      first,
      root: path,
      load,
      open: (file, size) => view.open({ uri, path: file, size }),
      label: `Files of ${name}`,
    }),
    path && data.message === undefined ? null : about(data, registry),
    namesReadme(data.quilt_summarize) ? null : readme,
    summarized(data.quilt_summarize, view, uri),
  );
}

/** Whether the summary shows it already. */
function namesReadme(summary) {
  return Array.isArray(summary) && summary.flat().some((one) => (one?.path ?? one) === "README.md");
}

function about(data, registry) {
  const hasMetadata = data.metadata && Object.keys(data.metadata).length > 0,
    hasKinds = data.extensions && Object.keys(data.extensions).length > 0;
  return el(
    "section",
    { class: "about", "aria-label": "About this revision" },
    hasMetadata && el("details", { open: true }, el("summary", {}, "Metadata"), jsonTree(data.metadata, 2)),
    data.workflow && el("details", {}, el("summary", {}, "Workflow"), jsonTree(data.workflow, 2)),
    el(
      "details",
      {},
      el("summary", {}, "More"),
      facts(
        ["Registry", dataText(registry)],
        ["Top hash", el("code", {}, data.top_hash)],
        [
          "Kinds of files",
          hasKinds &&
            Object.entries(data.extensions)
              .map(
                ([kind, [count, bytes]]) =>
                  `${kind || "without ending"} ${count.toLocaleString("en")} (${sizeText(bytes)})`,
              )
              .join(", "),
        ],
      ),
    ),
  );
}
