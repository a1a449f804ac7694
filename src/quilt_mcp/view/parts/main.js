// Main: which host shows the view, and which face stands in it.
import { Actions } from "./taking/actions.js";
import { showBrowse } from "./faces/browse.js";
import { Calls, told } from "./calls.js";
import { ChatHost } from "./hosts/chat_host.js";
import { showDiff } from "./faces/diff.js";
import { button, dataText, el, fill, notice, waiting } from "./elements/dom.js";
import { showFile } from "./faces/file.js";
import { showHistory } from "./faces/history.js";
import { showPackages } from "./faces/packages.js";
import { PageHost } from "./hosts/page_host.js";
import { partsOf, pathOf, Place, withoutPath } from "./place.js";
import { oneLine } from "./text.js";

const SILENCE = 30_000;
const FACES = { packages: showPackages, browse: showBrowse, file: showFile, history: showHistory, diff: showDiff };

class View {
  #room = document.getElementById("view");
  #bar = document.getElementById("bar");
  #turn = 0;

  constructor(host) {
    this.host = host;
    this.calls = new Calls(host);
    this.actions = new Actions(host, this.calls);
  }

  /** Shows a place. ``given``: the result that tells it already, kept with it for the way back. ``isInstead``: in place of where the
      view stands. */
  async go(place, { given = place.given, isInstead = false, isBack = false } = {}) {
    place.given = given;
    const turn = ++this.#turn,
      root = document.documentElement,
      room = el("div", { class: "face" });
    root.dataset.state = "loading";
    this.place = place;
    if (!isBack || !this.host.isPage) this.host.moved(place, isInstead);
    // A face that is there at once is shown at once; a word about waiting comes only where one waits.
    const slow = setTimeout(() => {
      if (turn === this.#turn) fill(this.#room, waiting("Reading"));
    }, 400);
    try {
      await FACES[place.face](room, this, place, given);
      if (turn !== this.#turn) return;
      root.dataset.face = place.face;
      fill(this.#room, room);
    } catch (problem) {
      if (turn !== this.#turn) return;
      root.dataset.face = "notice";
      this.title("Not shown", []);
      const said =
        problem instanceof Error
          ? {
              message: `The view failed: ${problem.message}`,
              next: "Go back, and tell the maintainers what you looked at.",
            }
          : problem;
      fill(
        this.#room,
        said.code === "token" && this.host.takeToken
          ? this.#askToken(said)
          : [whole(notice(said, () => this.go(place, { isInstead: true }))), this.#waysOn(place)],
      );
    } finally {
      clearTimeout(slow);
      if (turn === this.#turn) {
        root.dataset.state = "ready";
        if (isBack || this.host.hasBack) this.#room.focus({ preventScroll: true });
        window.scrollTo(0, 0);
      }
    }
  }

  /** A notice in place of what is shown or on its way. */
  stop(problem) {
    this.#turn++;
    const root = document.documentElement;
    [root.dataset.face, root.dataset.state] = ["notice", "ready"];
    fill(this.#room, whole(notice(problem)));
  }

  open(file) {
    const { uri, path } = file;
    return this.go(new Place("file", { uri: withoutPath(uri), path }));
  }

  /** The window's title and the bar above: where one came from, and the other faces. ``tabs``: names and what they do, null for this. */
  title(text, tabs) {
    document.title = `${oneLine(text)} · Quilt`;
    const back = this.host.hasBack && button("←", () => this.host.back(), { "aria-label": "Back", class: "back" });
    const all = this.host.isPage && button("Packages", () => this.go(new Place("packages")));
    const full = this.host.can.full && button("⛶", () => this.host.goFull(), { "aria-label": "Full screen, or back" });
    fill(
      this.#bar,
      back,
      all,
      tabs.map(([name, act]) =>
        act ? button(name, act) : el("span", { class: "here", "aria-current": "page" }, name),
      ),
      el("span", { class: "gap" }),
      full,
    );
  }

  /** The package's name and each folder of the path, to be opened. */
  crumbs(uri, path) {
    const { name } = partsOf(uri),
      parts = path.split("/"),
      made = [button(dataText(name), () => this.go(new Place("browse", { uri: withoutPath(uri) })), { class: "link" })];
    parts.forEach((part, number) => {
      if (!part) return;
      const isLast = number === parts.length - 1 || (number === parts.length - 2 && !parts.at(-1)),
        folder = `${parts.slice(0, number + 1).join("/")}/`;
      made.push(
        el("span", { class: "slash" }, "/"),
        isLast
          ? dataText(part)
          : button(dataText(part), () => this.go(new Place("browse", { uri: withoutPath(uri), path: folder })), {
              class: "link",
            }),
      );
    });
    return made;
  }

  /** What a link in a README does: the web through the host, a file of the package in the view. */
  follow(file) {
    const folder = (file.path ?? "").slice(0, (file.path ?? "").lastIndexOf("/") + 1);
    return {
      web: (url) => {
        if (this.host.can.link) this.host.openLink(url);
        else this.actions.copy(url, "The address");
      },
      file: (target) => {
        const steps = [];
        let decoded = target;
        try {
          decoded = decodeURIComponent(target);
        } catch {
          /* As it stands. */
        }
        for (const step of (decoded.startsWith("/") ? decoded : folder + decoded).split("/"))
          if (step === "..") steps.pop();
          else if (step && step !== ".") steps.push(step);
        const path = steps.join("/") + (decoded.endsWith("/") && steps.length ? "/" : "");
        if (path.endsWith("/") || !path) this.go(new Place("browse", { uri: file.uri, ...(path ? { path } : {}) }));
        else this.open({ uri: file.uri, path });
      },
    };
  }

  /** From what cannot be shown: to the package that it is of, and to all. */
  #waysOn(place) {
    const { uri, path } = place.about;
    return el(
      "p",
      { class: "tools" },
      uri && path && button("Files of the package", () => this.go(new Place("browse", { uri: withoutPath(uri) }))),
      this.host.isPage && place.face !== "packages" && button("All packages", () => this.go(new Place("packages"))),
    );
  }

  #askToken(problem) {
    const { offered } = this.host;
    const field = el("input", { type: "password", id: "token", autocomplete: "off", spellcheck: "false", value: offered });
    const take = () => {
      this.host.takeToken(field.value.trim());
      this.go(this.place, { isInstead: true });
    };
    field.addEventListener("keydown", (event) => event.key === "Enter" && take());
    return el(
      "section",
      { class: "notice" },
      el("h1", {}, problem.message),
      el("p", {}, offered ? "The address brings another one. Go on with it if you opened that address yourself." : problem.next),
      el("p", { class: "tools" }, el("label", { for: "token" }, "Token"), field, button("Go on", take)),
    );
  }
}

/** A notice that is all there is to see: its first line is the page's heading. */
function whole(box) {
  const first = box.querySelector("strong"),
    head = el("h1", { dir: "auto" }, ...first.childNodes);
  first.parentElement.replaceWith(head);
  return box;
}

/** The place that a tool's result tells of. */
function placeOf(result, given) {
  const { data, uri } = result;
  if (data.revisions)
    return new Place("history", { uri: withoutPath(uri), ...(pathOf(uri) ? { path: pathOf(uri) } : {}) });
  if (data.before && (data.totals || data.tables))
    return new Place("diff", { before: data.before, after: uri, ...(given.path ? { path: given.path } : {}) });
  if (data.packages) return new Place("packages", data.registry ? { registry: data.registry } : {});
  if (data.entries) return new Place("browse", { uri, ...narrowing(given) });
  return new Place("file", { uri });
}

/** What a call of package_browse asked for but a folder: then its answer is not all that is there. */
function narrowing(given) {
  return given.match ? { match: String(given.match) } : {};
}

async function begin() {
  const isPage = window.parent === window,
    host = isPage ? new PageHost() : new ChatHost(),
    view = new View(host);
  if (isPage) {
    const placed = (text) => Place.parse(text) ?? new Place("packages");
    host.onMoved((text) => view.go(placed(text), { isBack: true }));
    return view.go(placed(host.asked()), { isInstead: true });
  }
  host.onMoved((place) => view.go(place, { isBack: true }));
  const silent = setTimeout(
    () =>
      view.stop({
        message: "The chat client has sent nothing to show yet.",
        next: "Wait, or ask for the package once more in the conversation.",
      }),
    SILENCE,
  );
  try {
    await host.connect((result, given) => {
      clearTimeout(silent);
      try {
        const found = told(result);
        view.go(placeOf(found, given), { given: found });
      } catch (problem) {
        view.stop(problem);
      }
    });
  } catch (problem) {
    clearTimeout(silent);
    view.stop(problem);
  }
}

if (typeof window !== "undefined") begin();
