// History: the revisions of a package on a line, newest first, and what each of them changed.
import { button, el, fill, notice, put } from "../elements/dom.js";
import { atRevision, partsOf, Place } from "../place.js";
import { timeText } from "../text.js";

const SIGNS = { added: "+", removed: "−", modified: "~", renamed: "→", metadata: "≡", metadata_changed: "≡" };

export async function showHistory(room, view, place, given) {
  const { path } = place.about;
  let first = given;
  try {
    if (!given?.data.revisions?.every((one) => one.counts || path))
      first = await view.calls.log(place.about.uri ?? given.uri, path);
  } catch (problem) {
    if (!given) throw problem;
  }
  const uri = atRevision(first.uri || place.about.uri),
    { name } = partsOf(uri);
  const list = el("ol", { class: "line" }),
    rows = [],
    narrowed = path ? { path } : {},
    isFile = path && !path.endsWith("/");
  const between = (older, newer) =>
    new Place("diff", { before: atRevision(uri, older), after: atRevision(uri, newer), ...narrowed });
  const at = (hash) => new Place(isFile ? "file" : "browse", { uri: atRevision(uri, hash), ...narrowed });
  const compare = button(
    "Compare the two",
    () => {
      const [newer, older] = rows.filter((one) => one.box.checked);
      view.go(between(older.hash, newer.hash));
    },
    { disabled: true },
  );
  const chosen = () => rows.filter((one) => one.box.checked).length;
  const add = ({ data, page }) => {
    for (const one of data.revisions) {
      const box = el("input", {
        type: "checkbox",
        "aria-label": `Choose the revision ${one.top_hash.slice(0, 10)}`,
        onchange: () => {
          compare.disabled = chosen() !== 2;
        },
      });
      rows.push({ box, hash: one.top_hash });
      const here = rows.length - 1;
      put(
        list,
        el(
          "li",
          { class: one.latest ? "latest" : "" },
          el(
            "p",
            {},
            box,
            button(
              one.message ? el("span", { dir: "auto" }, one.message) : "without a message",
              () => view.go(at(one.top_hash)),
              { class: "link" },
            ),
            one.latest && el("strong", { class: "tag" }, "latest"),
          ),
          el(
            "p",
            { class: "quiet" },
            `${timeText(one.timestamp, view.host.locale)} · `,
            el("code", {}, one.top_hash.slice(0, 10)),
            one.verified === false && " · damaged: its manifest is not what its hash says",
            " ",
            counted(one.counts),
          ),
          el(
            "p",
            { class: "tools" },
            button(
              "What it changed",
              () => {
                const older = rows[here + 1];
                if (older) view.go(between(older.hash, one.top_hash));
              },
              { class: "changed" },
            ),
          ),
        ),
      );
    }
    list.querySelectorAll("button.changed").forEach((one, number, all) => {
      one.hidden = number === all.length - 1;
    });
    if (page.next_cursor) {
      const more = el(
        "li",
        {},
        button("Older revisions", async () => {
          more.remove();
          try {
            add(await view.calls.log(uri, path, page.next_cursor));
          } catch (problem) {
            put(list, el("li", {}, notice(problem)));
          }
        }),
      );
      put(list, more);
    }
  };
  add(first);
  view.title(`History of ${path ? `${name}/${path}` : name}`, [
    ["Files", () => view.go(new Place("browse", { uri }))],
    ["History", null],
  ]);
  fill(
    room,
    el("h1", {}, view.crumbs(uri, path ?? ""), " history"),
    rows.length > 1 && el("p", { class: "tools" }, el("span", { class: "quiet" }, "Choose two to compare."), compare),
    list,
  );
}

function counted(counts) {
  return Object.entries(counts ?? {})
    .filter(([kind, count]) => count && kind in SIGNS)
    .map(([kind, count]) =>
      el(
        "span",
        { class: `count ${kind}` },
        `${SIGNS[kind]}${count.toLocaleString("en")} ${kind.replace("_changed", "")}`,
      ),
    );
}
