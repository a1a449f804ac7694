// File: one file of a package, or an object, and what is in it.
import { fileFacts, showContent, showGiven } from "./content.js";
import { el, fill } from "../elements/dom.js";
import { jsonTree } from "../elements/json_tree.js";
import { isPackage, pathOf, Place, withoutPath } from "../place.js";
import { baseName } from "../text.js";

export async function showFile(room, view, place, given) {
  const asked = place.about.uri ?? given?.uri ?? "",
    path = place.about.path ?? pathOf(asked),
    isInPackage = isPackage(asked);
  const file = isInPackage ? { uri: withoutPath(asked), path } : { uri: asked };
  let info;
  try {
    info = given?.data.mode === "info" ? given : await view.calls.read(file, { mode: "info" });
  } catch (problem) {
    // A host that lets the view call nothing has sent something to show all the same.
    if (!given) throw problem;
    info = given;
  }
  const isFolder = ["package", "folder"].includes(info.data.type);
  // An address as people type it: what it names has one of its own.
  if (!isInPackage && !isFolder && isPackage(info.uri))
    return view.go(new Place("file", { uri: withoutPath(info.uri), path: pathOf(info.uri) }), {
      isInstead: true,
      given: info,
    });
  if (isFolder)
    return view.go(
      new Place("browse", {
        uri: withoutPath(info.uri),
        ...(path || pathOf(info.uri) ? { path: path || pathOf(info.uri) } : {}),
      }),
      { isInstead: true },
    );
  if (isInPackage && info.uri) file.uri = withoutPath(info.uri);
  Object.assign(file, { size: info.data.size, hash: info.data.hash });
  const up = isInPackage
    ? [
        [
          "Files",
          () =>
            view.go(
              new Place("browse", {
                uri: file.uri,
                ...(path.includes("/") ? { path: path.slice(0, path.lastIndexOf("/") + 1) } : {}),
              }),
            ),
        ],
        ["History", () => view.go(new Place("history", { uri: file.uri, path }))],
      ]
    : [];
  view.title(baseName(path || file.uri), up);
  const inner = el("div", { class: "content" }),
    metadata = info.data.metadata;
  fill(
    room,
    el("h1", {}, isInPackage ? view.crumbs(file.uri, path) : file.uri),
    view.actions.bar(file),
    inner,
    metadata &&
      Object.keys(metadata).length > 0 &&
      el("details", { open: true }, el("summary", {}, "Metadata"), jsonTree(metadata, 2)),
    el("details", {}, el("summary", {}, "About this file"), fileFacts(info, path)),
  );
  if (info === given && given.data.mode !== "info") showGiven(inner, given, baseName(path || file.uri));
  else await showContent(inner, view, file, info);
}
