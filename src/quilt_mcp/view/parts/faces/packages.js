// Packages: what a registry holds.
import { button, dataText, el, fill, notice, put } from "../elements/dom.js";
import { Place } from "../place.js";
import { countText, timeText } from "../text.js";

export async function showPackages(room, view, place) {
  const list = el("ul", { class: "packages" }),
    field = el("input", {
      type: "text",
      id: "match",
      placeholder: "name or pattern",
      autocomplete: "off",
      spellcheck: "false",
    });
  const count = el("span", { class: "quiet", role: "status" }),
    registry = place.about.registry ? { registry: place.about.registry } : {};
  let asked = 0,
    isShown = false;
  const load = async (match, cursor) => {
    const turn = ++asked;
    try {
      const { data, page } = await view.calls.packages({
        ...registry,
        ...(match ? { match } : {}),
        ...(cursor ? { cursor } : {}),
      });
      if (turn !== asked) return;
      if (!cursor) fill(list);
      put(
        list,
        data.packages.map((one) =>
          el(
            "li",
            {},
            button(
              dataText(one.name),
              () => view.go(new Place("browse", { uri: `quilt+${data.registry}#package=${one.name}` })),
              { class: "link" },
            ),
            el("span", { class: "quiet" }, one.modified ? timeText(one.modified, view.host.locale) : ""),
          ),
        ),
      );
      count.textContent = page.total === undefined || page.total === null ? "" : countText(page.total, "package");
      if (page.next_cursor) {
        const more = el(
          "li",
          {},
          button("More", () => {
            more.remove();
            load(match, page.next_cursor);
          }),
        );
        put(list, more);
      }
      if (!data.packages.length && !cursor)
        fill(
          list,
          el("li", { class: "quiet" }, match ? "No package has such a name." : "There is no package here yet."),
        );
      return data;
    } catch (problem) {
      if (turn !== asked) return;
      if (!isShown) throw problem;
      if (problem.code === "token") view.go(place, { isInstead: true });
      else if (cursor)
        put(
          list,
          el(
            "li",
            {},
            notice(problem, () => load(match, cursor)),
          ),
        );
      else
        fill(
          list,
          notice(problem, () => load(match)),
        );
    }
  };
  let later = 0;
  field.addEventListener("input", () => {
    clearTimeout(later);
    later = setTimeout(() => load(field.value.trim()), 250);
  });
  const data = await load("");
  isShown = true;
  view.title("Packages", []);
  fill(
    room,
    el("h1", {}, "Packages"),
    data && el("p", { class: "quiet", dir: "auto" }, data.registry),
    el("p", { class: "tools" }, el("label", { for: "match" }, "Find"), field, count),
    list,
  );
}
