// Table diff: two tables cell by cell, as package_diff with content counts and samples them.
import { button, el, fill, notice, put, waiting } from "../elements/dom.js";
import { cellOf } from "../elements/table.js";
import { countText, oneLine } from "../text.js";

/** ``ask(more)`` gives the tables; ``more``: { keys, tolerance, cursor }. ``asText``: what else can be done where they are none. */
export function tableDiff(ask, asText = null) {
  const room = el("div", { class: "tablediff", tabindex: "-1" });
  const load = async (more = {}, isAgain = false) => {
    if (isAgain) room.focus({ preventScroll: true });
    fill(room, waiting("Comparing both tables"));
    try {
      const found = await ask(more),
        tables = found.data.tables ?? [],
        shown = el("div", {}, tables.map(oneTable));
      fill(
        room,
        warned(found.warnings),
        shown,
        !tables.length && el("p", {}, "There is no table to compare here."),
        rest(shown, found.page.next_cursor, more),
        again(more, load),
      );
    } catch (problem) {
      fill(room, notice(problem), asText && el("p", {}, button("Compare as text", asText)), again(more, load));
    }
  };
  const rest = (shown, cursor, more) =>
    cursor &&
    button("More tables", async (event) => {
      const pressed = event.currentTarget;
      pressed.disabled = true;
      try {
        const found = await ask({ ...more, cursor });
        put(shown, warned(found.warnings), found.data.tables.map(oneTable));
        const next = rest(shown, found.page.next_cursor, more);
        next ? pressed.replaceWith(next) : pressed.remove();
      } catch (problem) {
        pressed.replaceWith(notice(problem));
      }
    });
  load();
  return room;
}

/** But for what tells how to page, which a button does here. */
function warned(warnings) {
  return warnings
    .filter((one) => !one.includes("cursor="))
    .map((one) => el("p", { class: "quiet", dir: "auto" }, oneLine(one)));
}

function again(more, load) {
  const keys = el("input", {
    type: "text",
    "aria-label": "Key columns, parted by commas",
    placeholder: "key columns",
    value: (more.keys ?? []).join(", "),
    spellcheck: "false",
  });
  const tolerance = el("input", {
    type: "text",
    "aria-label": "Tolerance of numbers, as 0.01 or 1%",
    placeholder: "0.01 or 1%",
    value: more.tolerance ?? "",
    spellcheck: "false",
  });
  const names = () =>
    keys.value
      .split(",")
      .map((one) => one.trim())
      .filter(Boolean);
  const compare = () =>
    load(
      {
        ...(names().length ? { keys: names() } : {}),
        ...(tolerance.value.trim() ? { tolerance: tolerance.value.trim() } : {}),
      },
      true,
    );
  for (const one of [keys, tolerance]) one.addEventListener("keydown", (event) => event.key === "Enter" && compare());
  return el("p", { class: "tools" }, "Match rows by ", keys, " with tolerance ", tolerance, button("Compare", compare));
}

function oneTable(table) {
  if (table.error)
    return el(
      "section",
      {},
      el("h3", { dir: "auto" }, oneLine(table.path)),
      notice({ code: table.error.code, message: table.error.message, next: table.error.next_step }),
    );
  const {
    rows,
    keys = [],
    samples = {},
    columns = {},
    changed_by_column: cells = {},
    cells_changed: differing,
  } = table;
  const same = !rows.added && !rows.removed && !rows.changed;
  return el(
    "section",
    { "aria-label": `Changes of ${oneLine(table.path)}` },
    el(
      "h3",
      { dir: "auto" },
      table.old_path ? `${oneLine(table.old_path)} → ${oneLine(table.path)}` : oneLine(table.path),
    ),
    el(
      "p",
      {},
      same
        ? "All rows are the same."
        : [
            count(rows.added, "row", "added"),
            count(rows.removed, "row", "removed"),
            count(rows.changed, "row", "changed"),
            differing ? ` (${countText(differing, "cell")})` : "",
          ],
      el(
        "span",
        { class: "quiet" },
        ` ${countText(rows.unchanged, "row")} unchanged · ${keys.length ? `matched by ${keys.map(oneLine).join(", ")}${table.tolerance ? ` · numbers within ${oneLine(table.tolerance)} are equal` : ""}` : "no column is unique, so rows were compared whole"}`,
      ),
    ),
    columnLine(columns, cells, table.largest),
    changedRows(samples.changed, keys, rows.changed),
    oneSided(samples.added, "added", keys, rows.added),
    oneSided(samples.removed, "removed", keys, rows.removed),
  );
}

function count(number, what, how) {
  return number
    ? el("span", { class: `count ${how === "changed" ? "modified" : how}` }, `${countText(number, what)} ${how} `)
    : null;
}

function columnLine({ added = [], dropped = [], retyped = [] }, cells, largest = {}) {
  const said = [
    added.length && `columns added: ${added.map(oneLine).join(", ")}`,
    dropped.length && `columns dropped: ${dropped.map(oneLine).join(", ")}`,
    retyped.length &&
      `columns of another type: ${retyped.map((one) => oneLine(`${one.column} (${one.before} → ${one.after})`)).join(", ")}`,
    Object.keys(cells).length > 0 &&
      `cells changed: ${Object.entries(cells)
        .map(([name, number]) => `${oneLine(name)} ${number.toLocaleString("en")}${name in largest ? ` (by ${largest[name]} at most)` : ""}`)
        .join(", ")}`,
  ].filter(Boolean);
  return (
    said.length > 0 &&
    el(
      "ul",
      { class: "quiet" },
      said.map((one) => el("li", { dir: "auto" }, one)),
    )
  );
}

/** A grid of the rows that changed: keys, then each column in which one of them did, before over after. */
function changedRows(changed = [], keys, total) {
  if (!changed.length) return null;
  const names = [...new Set(changed.flatMap((row) => row.cells.map((cell) => cell.column)))].slice(0, 40);
  return el(
    "div",
    { class: "scrolling", tabindex: "0", role: "region", "aria-label": "Rows that changed" },
    el(
      "table",
      { class: "plain cells" },
      el(
        "caption",
        {},
        changed.length < total
          ? `The first ${changed.length} of ${countText(total, "row")} that changed`
          : "Rows that changed",
      ),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          [...keys, ...names].map((name, number) =>
            el("th", { scope: "col", dir: "auto", class: number < keys.length ? "key" : "" }, oneLine(name)),
          ),
        ),
      ),
      el(
        "tbody",
        {},
        changed.map((row) => {
          const by = new Map(row.cells.map((cell) => [cell.column, cell]));
          return el(
            "tr",
            {},
            row.key.map((one) => el("th", { scope: "row", dir: "auto" }, cellOf(one))),
            names.map((name) =>
              by.has(name)
                ? el(
                    "td",
                    { class: "changed" },
                    el("del", { dir: "auto" }, cellOf(by.get(name).before)),
                    " ",
                    el("b", { dir: "auto" }, cellOf(by.get(name).after)),
                  )
                : el("td", {}),
            ),
          );
        }),
      ),
    ),
  );
}

function oneSided(samples = [], how, keys, total) {
  if (!samples.length) return null;
  const times = samples.map((row) => row.count ?? 1),
    shown = times.reduce((sum, one) => sum + one, 0),
    repeated = shown > samples.length;
  const names = [...new Set(samples.flatMap((row) => Object.keys(row.values ?? {})))].slice(0, 40);
  return el(
    "div",
    { class: "scrolling", tabindex: "0", role: "region", "aria-label": `Rows that were ${how}` },
    el(
      "table",
      { class: `plain ${how}` },
      el(
        "caption",
        {},
        shown < total
          ? `The first ${shown} of ${countText(total, "row")} that were ${how}`
          : `Rows that were ${how}`,
      ),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          [...keys, ...names].map((name) => el("th", { scope: "col", dir: "auto" }, oneLine(name))),
          repeated && el("th", { scope: "col" }, "times"),
        ),
      ),
      el(
        "tbody",
        {},
        samples.map((row, at) =>
          el(
            "tr",
            {},
            (row.key ?? []).map((one) => el("th", { scope: "row", dir: "auto" }, cellOf(one))),
            names.map((name) => el("td", { dir: "auto" }, name in (row.values ?? {}) && cellOf(row.values[name]))),
            repeated && el("td", {}, String(times[at])),
          ),
        ),
      ),
    ),
  );
}
