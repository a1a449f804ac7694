// Table: the first rows of a tabular file, sorted as one likes, with what each column holds.
import { bars, button, el, fill, notice, say } from "./dom.js";
import { countText, cut, oneLine } from "../text.js";
import { Rows } from "./window.js";

const MOST_ROWS = 1000;
const AT_ONCE = 400;
const ROW = 26;
const BINS = 12;
const MOST_COLUMNS = 200;
const MOST_FAULTS = 10;
const NUMBERS = /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL|DOUBLE|FLOAT|REAL|NUMERIC|BIGNUM)/i;

/** ``inside``: what object_read tells of the file; ``read(rows)`` reads some. ``save(columns, rows)`` takes those that are shown. Shows
    ``MOST_ROWS``, and as many more each time they are asked for. */
export function fileTable({ inside, read, name, save }) {
  const room = el("div", {}, el("p", { class: "waiting" }, "Reading rows"));
  const rows = [],
    told = el("span", { class: "quiet", role: "status" });
  let columns = Object.keys(inside.columns ?? {}),
    grid = null,
    isAll = false;
  const more = button("More rows", async () => {
    more.disabled = true;
    await load().catch((problem) => room.prepend(notice(problem)));
    more.disabled = false;
  });
  load().catch((problem) => fill(room, notice(problem)));
  return room;

  async function load() {
    const wanted = rows.length + MOST_ROWS;
    while (rows.length < wanted && !isAll) {
      const { data } = await read(`${rows.length}:${Math.min(wanted, rows.length + AT_ONCE)}`);
      columns = data.columns ?? columns;
      rows.push(...(data.rows ?? []));
      isAll = !data.rows?.length || data.next_row === undefined || data.next_row === null || rows.length >= inside.rows;
      if (grid) grid.grow();
      else show();
      tell();
    }
  }

  function show() {
    grid = dataGrid({ columns, types: inside.columns ?? {}, rows, label: `Rows of ${name}` });
    const all = inside.columns_total > columns.length ? `the first ${columns.length} of ` : "";
    const count = countText(inside.columns_total ?? columns.length, "column");
    fill(
      room,
      el(
        "p",
        { class: "tools" },
        el("span", {}, `${all}${count}`),
        told,
        more,
        button("Rows as CSV", () => save(columns, grid.rows())),
      ),
      faultList(inside.faults),
      grid.element,
    );
  }

  function tell() {
    const of = inside.rows === undefined ? "" : ` of ${countText(inside.rows, "row")}`;
    const some = `the first ${rows.length.toLocaleString("en")}${of}; sorting and distributions are of these`;
    told.textContent = isAll ? countText(rows.length, "row") : some;
    more.hidden = isAll;
  }
}

/** Lines that are no rows: told above those that are. */
function faultList(faults) {
  return (
    faults?.length > 0 &&
    el(
      "div",
      { class: "notice" },
      el("p", {}, "Some lines are not as the others:"),
      el(
        "ul",
        {},
        faults
          .slice(0, MOST_FAULTS)
          .map((one) => el("li", { dir: "auto" }, oneLine(typeof one === "string" ? one : JSON.stringify(one)))),
      ),
    )
  );
}

/** Rows under their columns' names. ``types`` of columns by name: numbers may come as text, where JSON would round them. */
export function dataGrid({ columns, types = {}, rows, label }) {
  const shown = columns.slice(0, MOST_COLUMNS),
    isNumber = shown.map((name) => NUMBERS.test(types[name] ?? ""));
  let order = rows.map((_, number) => number),
    sorted = null;
  const heads = shown.map((name, number) => {
    const spread = el("div", { class: "spread" });
    const head = el(
      "th",
      { scope: "col", "aria-sort": "none" },
      button(el("span", { dir: "auto" }, cut(oneLine(name), 80)), () => sortBy(number), {
        class: "head",
        title: oneLine(name),
      }),
      el("span", { class: "type" }, String(types[name] ?? "").toLowerCase()),
      spread,
    );
    return { head, spread };
  });
  const body = el("tbody", {});
  const scroller = el(
    "div",
    { class: "grid", tabindex: "0", role: "region", "aria-label": label },
    el(
      "table",
      { "aria-rowcount": rows.length + 1, "aria-label": label },
      el(
        "thead",
        {},
        el(
          "tr",
          { "aria-rowindex": 1 },
          heads.map((one) => one.head),
        ),
      ),
      body,
    ),
  );
  const window_ = new Rows({
    scroller,
    body,
    height: ROW,
    room: () => el("tr", { class: "room", "aria-hidden": "true" }),
    row: (number) => {
      const row = rows[order[number]];
      return el(
        "tr",
        { "aria-rowindex": number + 2 },
        shown.map((name, column) => {
          const said = cellText(row[column]);
          return el(
            "td",
            {
              class: isNumber[column] ? "number" : null,
              dir: "auto",
              title: said.length > 40 ? cut(said, 2000) : null,
            },
            cellOf(row[column]),
          );
        }),
      );
    },
  });
  const draw = () => {
    order = rows.map((_, number) => number);
    if (sorted) order.sort(comparison(sorted));
    scroller.querySelector("table").setAttribute("aria-rowcount", rows.length + 1);
    window_.reset(rows.length);
    heads.forEach(({ spread }, column) =>
      fill(
        spread,
        spreadOf(
          rows.map((row) => row[column]),
          isNumber[column],
        ),
      ),
    );
  };
  const comparison =
    ({ column, isDown }) =>
    (one, other) => {
      const [a, b] = [rows[one][column], rows[other][column]];
      if (a === b) return one - other;
      const [isLast, isFirst] = [isNothing(a, isNumber[column]), isNothing(b, isNumber[column])];
      if (isLast || isFirst) return Number(isLast) - Number(isFirst) || one - other;
      if (isNumber[column] || typeof a === "number") {
        const [x, y] = [Number(a), Number(b)];
        if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y)) || one - other;
        return (isDown ? y - x : x - y) || one - other;
      }
      const found = String(a).localeCompare(String(b), "en", { numeric: true });
      return (isDown ? -found : found) || one - other;
    };
  const sortBy = (column) => {
    sorted = sorted?.column !== column ? { column, isDown: false } : sorted.isDown ? null : { column, isDown: true };
    heads.forEach(({ head }, number) =>
      head.setAttribute("aria-sort", sorted?.column === number ? (sorted.isDown ? "descending" : "ascending") : "none"),
    );
    draw();
    say(
      sorted
        ? `Sorted by ${oneLine(shown[column])}, ${sorted.isDown ? "largest" : "smallest"} first.`
        : "In the file's order.",
    );
  };
  requestAnimationFrame(draw);
  const rest = columns.length - shown.length;
  return {
    element: el(
      "div",
      {},
      scroller,
      rest > 0 && el("p", { class: "quiet" }, `${countText(rest, "more column")} not shown. Rows as CSV has them all.`),
    ),
    grow: draw,
    rows: () => order.map((number) => rows[number]),
  };
}

function cellText(value) {
  if (value === null || value === undefined) return "";
  return oneLine(typeof value === "object" ? JSON.stringify(value) : String(value));
}

/** As an element: NULL is a word of its own, and no text. */
export function cellOf(value) {
  return value === null || value === undefined ? el("span", { class: "none" }, "NULL") : cut(cellText(value), 300);
}

/** NULL; and among numbers a text of nothing, which is no number, not even 0. */
function isNothing(value, isNumber) {
  return value === null || value === undefined || (isNumber && value === "");
}

/** Of the rows that were read: a histogram of numbers, else the words that are there most often. */
function spreadOf(values, isNumber) {
  const given = values.filter((value) => !isNothing(value, isNumber));
  const none = values.filter((value) => isNothing(value, false)).length,
    empty = values.length - given.length - none,
    missing = [[none, "NULL"], [empty, "empty"]].map(([count, what]) => (count ? `, ${count.toLocaleString("en")} ${what}` : "")).join("");
  const numbers = given
    .map((value) => (isNumber || typeof value === "number" ? Number(value) : Number.NaN))
    .filter(Number.isFinite);
  if (numbers.length && (isNumber || numbers.length === given.length)) {
    let [least, most] = [Infinity, -Infinity];
    for (const one of numbers) {
      least = Math.min(least, one);
      most = Math.max(most, one);
    }
    const counts = new Array(BINS).fill(0);
    for (const one of numbers)
      counts[most > least ? Math.min(BINS - 1, Math.floor((BINS * (one - least)) / (most - least))) : 0]++;
    const said = `${short(least)} to ${short(most)}${missing}`;
    return [bars(counts, `From ${said}`), el("span", { class: "quiet" }, said)];
  }
  const counts = new Map();
  for (const one of given) {
    const key = typeof one === "object" ? JSON.stringify(one) : String(one);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const top = [...counts.entries()].sort((a, b) => b[1] - a[1]).slice(0, BINS);
  const said = `${counts.size === 1 ? "one value" : `${counts.size.toLocaleString("en")} values`}${missing}`;
  return counts.size > 1 && counts.size <= BINS
    ? [
        bars(
          top.map((one) => one[1]),
          `${said}: ${top.map((one) => `${cut(oneLine(one[0]), 30)} ${one[1]}`).join(", ")}`,
        ),
        el("span", { class: "quiet" }, said),
      ]
    : [el("span", { class: "quiet" }, said)];
}

function short(value) {
  return Number.isInteger(value) && Math.abs(value) < 1e9 ? String(value) : String(Number(value.toPrecision(4)));
}
