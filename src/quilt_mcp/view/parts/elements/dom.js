// Elements: the only way by which the view makes any. Text is text; there is no markup from a string anywhere.
import { isPassing, nextForPeople, oneLine, visible } from "../text.js";

const TAGS = new Set(
  (
    "a article aside b blockquote br button canvas caption code col colgroup dd del details div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 " +
    "hr input kbd label li nav ol option p pre section select span strong summary sup table tbody td textarea th thead tr ul"
  ).split(" "),
);
const ATTRIBUTES =
  /^(aria-[a-z]+|data-[a-z-]+|role|id|class|type|title|dir|lang|tabindex|colspan|rowspan|scope|start|min|max|step|value|name|for|open|hidden|disabled|placeholder|readonly|rows|width|height|autocomplete|spellcheck|download)$/;

/** An element. An attribute that starts with "on" is a listener, ``style`` an object of CSS properties; of children null and false
    are left out. Throws for a tag or an attribute that the view does not use. */
export function el(tag, attributes = {}, ...children) {
  if (!TAGS.has(tag)) throw new Error(`no element ${tag}`);
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style")
      for (const [property, set] of Object.entries(value)) made.style.setProperty(property, set);
    else if (ATTRIBUTES.test(name)) made.setAttribute(name, value === true ? "" : String(value));
    else throw new Error(`no attribute ${name}`);
  }
  put(made, ...children);
  return made;
}

/** Adds them. Text has what hides or turns text written out, wherever it comes from. */
export function put(parent, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : document.createTextNode(visible(child)));
  }
}

export function fill(parent, ...children) {
  parent.replaceChildren();
  put(parent, ...children);
}

/** Text from data on one line, in its own direction and apart from what stands beside it. */
export function dataText(text, attributes = {}) {
  return el("span", { dir: "auto", class: "data", ...attributes }, oneLine(text));
}

export function button(label, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, label);
}

const SVG = "http://www.w3.org/2000/svg";

/** Bars side by side, the largest as high as the picture. ``label`` tells a screen reader what they say. */
export function bars(counts, label) {
  const most = Math.max(1, ...counts),
    picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("viewBox", `0 0 ${counts.length * 4} 16`);
  picture.setAttribute("preserveAspectRatio", "none");
  picture.setAttribute("class", "bars");
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", label);
  counts.forEach((count, number) => {
    const bar = document.createElementNS(SVG, "rect"),
      height = count ? Math.max(1, (15 * count) / most) : 0;
    for (const [name, value] of Object.entries({ x: number * 4, y: 16 - height, width: 3, height }))
      bar.setAttribute(name, String(value));
    picture.append(bar);
  });
  return picture;
}

/** What went wrong, in words, and what can be done. */
export function notice(problem, again) {
  return el(
    "section",
    { class: "notice", role: "alert" },
    el("p", {}, el("strong", { dir: "auto" }, oneLine(problem.message || String(problem)))),
    nextForPeople(problem) && el("p", { dir: "auto" }, oneLine(nextForPeople(problem))),
    again && isPassing(problem) && el("p", {}, button("Try once more", again)),
  );
}

export function waiting(what) {
  return el("p", { class: "waiting", role: "status" }, what);
}

/** A list of words and what they mean. */
export function facts(...pairs) {
  return el(
    "dl",
    { class: "facts" },
    pairs
      .filter((pair) => pair && pair[1] !== undefined && pair[1] !== null && pair[1] !== "")
      .map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
  );
}

/** A button with a list of choices that opens below it. */
export function menu(label, choices) {
  const box = el(
    "details",
    { class: "menu" },
    el("summary", {}, label),
    el(
      "ul",
      {},
      choices.filter(Boolean).map(([name, act]) =>
        el(
          "li",
          {},
          button(name, () => {
            box.open = false;
            box.querySelector("summary").focus();
            act();
          }),
        ),
      ),
    ),
  );
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && box.open) {
      box.open = false;
      box.querySelector("summary").focus();
      event.stopPropagation();
    }
  });
  document.addEventListener("pointerdown", (event) => {
    if (box.open && !box.contains(event.target)) box.open = false;
  });
  box.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !box.contains(event.relatedTarget)) box.open = false;
  });
  return box;
}

/** Tells something that happened, for some seconds, and to who listens to the screen. Each time in an element of its own: a text that
    is the same again is said again. */
export function say(text) {
  fill(document.getElementById("said"), el("span", {}, text));
}
