// Summary: quilt_summarize.json as Quilt's catalog lays it out: rows of files, each as wide as it says.
import { showContent } from "./content.js";
import { button, dataText, el, put } from "../elements/dom.js";
import { markdown } from "../elements/markdown.js";
import { baseName } from "../text.js";

const MOST_FILES = 40;

/** ``summary``: a list; what stands in it is a path, an object with one, or a list of these side by side. null where nothing fits. */
export function summarized(summary, view, uri) {
  if (!Array.isArray(summary)) return null;
  let left = MOST_FILES;
  const rows = summary
    .slice(0, MOST_FILES)
    .map((row) => {
      const cards = (Array.isArray(row) ? row : [row])
        .slice(0, Math.max(0, left))
        .map((one) => card(one, view, uri))
        .filter(Boolean);
      left -= cards.length;
      return cards.length ? el("div", { class: "row" }, cards) : null;
    })
    .filter(Boolean);
  return rows.length ? el("section", { class: "summary", "aria-label": "Summary of the package" }, rows) : null;
}

function card(one, view, uri) {
  const about = typeof one === "string" ? { path: one } : one;
  if (typeof about?.path !== "string" || !about.path) return null;
  const path = about.path.replace(/^(\.?\/)+/, ""),
    title = typeof about.title === "string" && about.title ? about.title : baseName(path);
  const room = el("div", { class: "inner" });
  const made = el(
    "article",
    { class: "card" },
    el(
      "h2",
      {},
      button(dataText(title), () => view.open({ uri, path }), { class: "link" }),
    ),
    typeof about.description === "string" && markdown(about.description, view.follow({ uri, path: "" })),
    room,
  );
  const width = /^(\d{1,3})%$/.exec(String(about.width ?? ""));
  if (width) made.style.flex = `0 1 calc(${Math.max(10, Math.min(100, Number(width[1])))}% - 0.7rem)`;
  let isShown = false;
  const show = () => {
    if (!isShown) {
      isShown = true;
      showContent(room, view, { uri, path });
    }
  };
  if (about.expand === false) put(room, button("Show", show));
  else
    new IntersectionObserver(
      (seen, watching) => {
        if (seen.some((entry) => entry.isIntersecting)) {
          watching.disconnect();
          show();
        }
      },
      { rootMargin: "200px" },
    ).observe(made);
  return made;
}
