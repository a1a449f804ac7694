// Tree: the folders and files of a package, opened where one looks, however many there are.
import { dataText, el, say } from "./dom.js";
import { baseName, countText, nextForPeople, sizeText } from "../text.js";
import { Rows } from "./window.js";

const ROW = 28;

/** ``first``: a page of entries that is known already; ``load(path, cursor)`` gives { entries, cursor, total } of a folder;
    ``open(path, size)`` shows a file. */
export function tree({ first, root, load, open, label }) {
  const visible = [];
  let active = 0;
  const body = el("div", { role: "rowgroup", class: "rows" });
  const scroller = el(
    "div",
    { class: "tree", role: "treegrid", "aria-label": label, "aria-rowcount": -1 },
    head(),
    body,
  );
  const rows = new Rows({
    scroller,
    body,
    height: ROW,
    room: () => el("div", { "aria-hidden": "true" }),
    row: drawRow,
  });
  const add = (at, page, parent) => {
    const level = parent ? parent.level + 1 : 1,
      known = visible.filter((one) => one.parent === parent && !one.more).length;
    const made = page.entries.map((entry, number) => ({
      path: entry.path,
      size: entry.size,
      entries: entry.entries,
      metadata: entry.metadata,
      level,
      parent,
      place: known + number + 1,
      of: page.total ?? known + page.entries.length,
      isFolder: entry.path.endsWith("/"),
    }));
    if (page.cursor) made.push({ more: page.cursor, level, parent, of: page.total });
    visible.splice(at, 0, ...made);
    if (active >= at && visible.length > made.length) active += made.length;
  };
  add(0, first, null);
  scroller.addEventListener("keydown", onKey);
  requestAnimationFrame(() => rows.reset(visible.length));
  return scroller;

  function head() {
    return el(
      "div",
      { role: "rowgroup", class: "head" },
      el(
        "div",
        { role: "row" },
        ["Name", "Size", "Files"].map((name) => el("span", { role: "columnheader" }, name)),
      ),
    );
  }

  function drawRow(number) {
    const one = visible[number],
      focus = { tabindex: number === active ? "0" : "-1", "aria-level": one.level, "aria-rowindex": number + 2 };
    const indent = { style: { "padding-inline-start": `${(one.level - 1) * 1.1 + 0.3}rem` } };
    if (one.more) {
      queueMicrotask(() => unfoldMore(one));
      return el(
        "div",
        { role: "row", class: "more", ...focus, onclick: () => act(one) },
        el(
          "span",
          { role: "gridcell", ...indent },
          one.problem ? `${one.problem.message} Choose it to try once more.` : "Loading more",
        ),
        el("span", { role: "gridcell" }),
        el("span", { role: "gridcell" }),
      );
    }
    const state = one.isFolder ? { "aria-expanded": String(Boolean(one.isOpen)) } : {};
    return el(
      "div",
      {
        role: "row",
        class: one.isFolder ? "folder" : "file",
        ...focus,
        ...state,
        "aria-posinset": one.place,
        "aria-setsize": one.of,
        onclick: () => {
          active = visible.indexOf(one);
          act(one);
        },
        onfocus: () => activate(visible.indexOf(one)),
      },
      el(
        "span",
        { role: "gridcell", ...indent },
        el("span", { class: "mark", "aria-hidden": "true" }, one.isFolder ? (one.isOpen ? "▾" : "▸") : ""),
        dataText(baseName(one.path)),
      ),
      el("span", { role: "gridcell", class: "size" }, sizeText(one.size)),
      el(
        "span",
        { role: "gridcell", class: "size" },
        one.entries === undefined ? "" : one.entries.toLocaleString("en"),
      ),
    );
  }

  function activate(number) {
    if (number < 0 || number === active) return;
    rows.element(active)?.setAttribute("tabindex", "-1");
    active = number;
    rows.element(active)?.setAttribute("tabindex", "0");
  }

  function focusOn(number) {
    if (number < 0 || number >= visible.length) return;
    activate(number);
    rows.reach(number)?.focus({ preventScroll: true });
  }

  async function act(one) {
    if (one.more) {
      one.problem = null;
      return unfoldMore(one);
    }
    if (!one.isFolder) return open(one.path, one.size);
    return one.isOpen ? close(one) : unfold(one);
  }

  /** What comes for an opening that was closed since, or for a row that is gone, is dropped. */
  async function unfold(one) {
    const turn = (one.turn = (one.turn ?? 0) + 1);
    one.isOpen = true;
    redraw();
    try {
      const page = await load(one.path);
      if (!one.isOpen || one.turn !== turn || !visible.includes(one)) return;
      add(visible.indexOf(one) + 1, page, one);
      say(`${baseName(one.path)}: ${countText(page.total ?? page.entries.length, "entry", "entries")}.`);
    } catch (problem) {
      one.isOpen = false;
      say(`${problem.message} ${nextForPeople(problem)}`);
    }
    redraw();
  }

  function close(one) {
    one.isOpen = false;
    const at = visible.indexOf(one) + 1;
    let end = at;
    while (end < visible.length && visible[end].level > one.level) end++;
    visible.splice(at, end - at);
    if (active >= end) active -= end - at;
    else if (active >= at) active = at - 1;
    redraw();
  }

  async function unfoldMore(one) {
    if (one.isAsked || one.problem) return;
    one.isAsked = true;
    try {
      const page = await load(one.parent?.path ?? root, one.more),
        at = visible.indexOf(one);
      if (at < 0) return;
      visible.splice(at, 1);
      if (active > at) active--;
      add(at, page, one.parent);
      if (active === at + page.entries.length) active = at;
    } catch (problem) {
      [one.problem, one.isAsked] = [problem, false];
    }
    redraw();
  }

  function redraw() {
    const isInside = scroller.contains(document.activeElement);
    rows.reset(visible.length);
    if (isInside) rows.element(active)?.focus({ preventScroll: true });
  }

  function onKey(event) {
    const one = visible[active],
      isRight = getComputedStyle(scroller).direction === "rtl" ? "ArrowLeft" : "ArrowRight",
      isLeft = isRight === "ArrowRight" ? "ArrowLeft" : "ArrowRight";
    const page = Math.max(1, Math.floor(scroller.clientHeight / ROW) - 1);
    const moves = {
      ArrowDown: active + 1,
      ArrowUp: active - 1,
      Home: 0,
      End: visible.length - 1,
      PageDown: Math.min(visible.length - 1, active + page),
      PageUp: Math.max(0, active - page),
    };
    if (event.key in moves) focusOn(moves[event.key]);
    else if (event.key === isRight && one.isFolder) one.isOpen ? focusOn(active + 1) : unfold(one);
    else if (event.key === isLeft) one.isOpen ? close(one) : one.parent && focusOn(visible.indexOf(one.parent));
    else if (event.key === "Enter" || event.key === " ") act(one);
    else return;
    event.preventDefault();
  }
}
