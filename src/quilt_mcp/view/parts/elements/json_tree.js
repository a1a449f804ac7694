// JSON tree: values that open, a part at a time however large they are.
import { button, dataText, el, put } from "./dom.js";
import { countText } from "../text.js";

const AT_ONCE = 200;
const LONG = 2_000;

export function jsonTree(value, depth = 1) {
  return el("div", { class: "json" }, node(value, depth));
}

/** ``name`` stands before it, if it has one. */
function node(value, open, name) {
  const named = name === undefined ? [] : [dataText(name, { class: "data name" }), ": "];
  if (value === null || typeof value !== "object") return [named, leaf(value)];
  const pairs = Array.isArray(value) ? value.map((one, number) => [String(number), one]) : Object.entries(value);
  if (!pairs.length) return [named, el("span", { class: "none" }, Array.isArray(value) ? "[ ]" : "{ }")];
  const list = el("ul", {});
  const box = el(
    "details",
    { open: open > 0 },
    el("summary", {}, named, countText(pairs.length, Array.isArray(value) ? "item" : "field")),
    list,
  );
  let shown = 0;
  const more = () => {
    for (const [name, one] of pairs.slice(shown, shown + AT_ONCE)) put(list, el("li", {}, node(one, open - 1, name)));
    shown += AT_ONCE;
    if (shown < pairs.length) {
      const next = el(
        "li",
        {},
        button(`${countText(pairs.length - shown, "more", "more")}`, () => {
          next.remove();
          more();
        }),
      );
      put(list, next);
    }
  };
  if (open > 0) more();
  else
    box.addEventListener("toggle", () => {
      if (!shown) more();
    });
  return box;
}

function leaf(value) {
  if (typeof value !== "string") return el("span", { class: value === null ? "none" : "number" }, String(value));
  const said = dataText(value.slice(0, LONG), { class: "data string" });
  if (value.length > LONG) put(said, "… ", countText(value.length, "character"));
  return said;
}
