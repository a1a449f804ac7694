// Notebook: cells in order with what they printed. Outputs are text or drawn pictures; HTML in them is shown as text.
import { code } from "./code.js";
import { el, put } from "./dom.js";
import { markdown } from "./markdown.js";
import { drawn } from "./picture.js";
import { cut, visible } from "../text.js";

const MOST_CELLS = 300;
const MOST_TEXT = 20_000;
const MOST_PICTURES = 40;

/** Throws where ``text`` is no notebook. */
export function notebook(text, follow) {
  const found = JSON.parse(text);
  if (!Array.isArray(found?.cells))
    throw { code: "no_notebook", message: "This file is no notebook: it has no cells.", next: "Look at it as text." };
  const pictures = { left: MOST_PICTURES },
    language = String(found.metadata?.language_info?.name ?? found.metadata?.kernelspec?.language ?? "python");
  const cells = found.cells.slice(0, MOST_CELLS).map((cell) => cellOf(cell ?? {}, language, follow, pictures));
  const rest = found.cells.length - cells.length;
  return el(
    "div",
    { class: "notebook" },
    cells,
    rest > 0 && el("p", { class: "quiet" }, `${rest} more cells are not shown.`),
  );
}

function cellOf(cell, language, follow, pictures) {
  const source = joined(cell.source);
  if (cell.cell_type === "markdown") return el("section", { class: "cell" }, markdown(source, follow));
  const outputs = Array.isArray(cell.outputs) ? cell.outputs : [];
  return el(
    "section",
    { class: "cell" },
    el("p", { class: "quiet" }, cell.cell_type === "code" ? `In [${Number(cell.execution_count) || " "}]` : "Text"),
    code(source, cell.cell_type === "code" ? language : ""),
    outputs.map((one) => outputOf(one, pictures)),
  );
}

function outputOf(output, pictures) {
  const isError = output?.output_type === "error" || output?.name === "stderr",
    room = el("div", { class: isError ? "output error" : "output" }),
    data = output?.data ?? {};
  const image = ["image/png", "image/jpeg"].find((type) => data[type] !== undefined);
  if (image && pictures.left-- > 0)
    drawn({ data: joined(data[image]).replace(/\s/g, ""), mimeType: image }, "Output of the cell").then(
      (canvas) => put(room, canvas),
      () => put(room, el("p", { class: "quiet" }, "A picture that cannot be drawn.")),
    );
  else if (image) put(room, el("p", { class: "quiet" }, "One more picture, which is not shown."));
  else {
    const text =
      output?.output_type === "error"
        ? tracebackOf(output)
        : joined(output?.text ?? data["text/plain"] ?? data["text/html"] ?? "");
    const plain = visible(text.replace(/\u001b\[[0-9;]*m/g, ""));
    if (plain)
      put(
        room,
        el(
          "pre",
          { class: "plain", tabindex: "0", role: "group", "aria-label": "Output of the cell" },
          cut(plain, MOST_TEXT),
        ),
      );
  }
  return room;
}

/** Its last line says what the error is, where there is a traceback. */
function tracebackOf({ ename, evalue, traceback }) {
  return Array.isArray(traceback) && traceback.length ? traceback.join("\n") : `${ename}: ${evalue}`;
}

function joined(text) {
  return Array.isArray(text) ? text.join("") : String(text ?? "");
}
