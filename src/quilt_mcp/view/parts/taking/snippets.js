// Snippets: what is looked at, as lines that a person pastes into Python or a shell. Names from data are quoted, never spliced.
import { partsOf } from "../place.js";
import { baseName, extension } from "../text.js";

const READERS = { csv: "read_csv", tsv: "read_csv", parquet: "read_parquet", jsonl: "read_json", ndjson: "read_json" };

/** Whether a shell would do more with it than keep it: control characters end a paste, or a line. */
const CONTROLS = /[\u0000-\u001f\u007f-\u009f]/;

export function quilt3Lines({ uri, path }) {
  const { registry, name, hash } = partsOf(uri),
    isFolder = !path || path.endsWith("/");
  const pinned = hash ? `, top_hash=${python(hash)}` : "";
  const lines = [
    "import quilt3",
    "",
    `package = quilt3.Package.browse(${python(name)}, registry=${python(registry)}${pinned})`,
  ];
  if (path)
    lines.push(
      isFolder
        ? `folder = package[${python(path.replace(/\/$/, ""))}]`
        : `content = package[${python(path)}].get_bytes()`,
    );
  else lines.push('package.fetch("./package")');
  return lines.join("\n");
}

/** null for what pandas reads as no table. */
export function pandasLines({ uri, path }) {
  const reader = READERS[extension(path ?? "")];
  if (!reader) return null;
  const { registry, name, hash } = partsOf(uri),
    more = { tsv: ', sep="\\t"', jsonl: ", lines=True", ndjson: ", lines=True" }[extension(path)] ?? "";
  const whole = `quilt+${registry}/${name}${hash ? `@${hash}` : ""}/${path}`;
  return [
    "import pandas as pd  # with quilt-mcp installed, which opens these addresses",
    "",
    `table = pd.${reader}(${python(whole)}${more})`,
  ].join("\n");
}

/** null where a name has control characters, which no line to be pasted may hold. */
export function shellLine({ uri, path }) {
  if (CONTROLS.test(uri + (path ?? ""))) return null;
  const { registry, name, hash } = partsOf(uri),
    address = `${name}${hash ? `@${hash}` : ""}`,
    where = `--registry ${shell(registry)}`;
  if (path && !path.endsWith("/"))
    return `quilt-mcp ${where} cat ${shell(`${address}/${path}`)} > ${shell(`./${baseName(path)}`)}`;
  return `quilt-mcp ${where} get ${shell(address)} ${shell(`./${name.split("/").pop()}`)}${path ? ` --path=${shell(path)}` : ""} -w`;
}

/** JSON's strings are Python's, but for halves of characters, which no name has. */
function python(text) {
  return JSON.stringify(text)
    .replace(/[\u007f-\uffff]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .replace(
      /\\ud[89ab]..\\ud[c-f]../g,
      (pair) => `\\U${JSON.parse(`"${pair}"`).codePointAt(0).toString(16).padStart(8, "0")}`,
    );
}

function shell(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
