// Actions: what a person does with what is looked at: copy, save, ask. None of them writes to a registry.
import { button, el, menu, say } from "./dom.js";
import { isPackage, withPath } from "./place.js";
import { pandasLines, quilt3Lines, shellLine } from "./snippets.js";
import { baseName, csvOf, sizeText } from "./text.js";

const MOST_SAVED = 200_000_000;
const MOST_IN_CHAT = 8_000_000;

export class Actions {
  constructor(host, calls) {
    [this.host, this.calls] = [host, calls];
  }

  /** Buttons for ``thing``: { uri, path, size }, of a package, a folder or a file. */
  bar(thing) {
    const isFile = thing.size !== undefined && !(thing.path ?? "").endsWith("/"), address = thing.path ? withPath(thing.uri, thing.path) : thing.uri;
    const pandas = isPackage(thing.uri) ? pandasLines(thing) : null;
    return el("div", { class: "tools", role: "group", "aria-label": "What can be done" },
      menu("Copy", [
        ["Address", () => this.copy(address, "The address")],
        isPackage(thing.uri) && ["As Python (quilt3)", () => this.copy(quilt3Lines(thing), "Python for quilt3")],
        pandas && ["As Python (pandas)", () => this.copy(pandas, "Python for pandas")],
        isPackage(thing.uri) && ["As a shell command", () => this.copy(shellLine(thing), "The command")],
      ]),
      isFile && button("Download", (event) => this.download(thing, event.currentTarget)),
      this.host.can.ask && button("Ask about this", () => this.ask(address)),
    );
  }

  async copy(text, what) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const field = el("textarea", { class: "aside", "aria-label": what });
      field.value = text;
      document.body.append(field);
      field.select();
      const isDone = document.execCommand("copy");
      field.remove();
      if (!isDone) return this.offer(text, what);
    }
    say(`${what} is copied.`);
  }

  /** Where nothing may be copied, the text to copy by hand. */
  offer(text, what) {
    const field = el("textarea", { readonly: true, rows: Math.min(8, text.split("\n").length + 1), "aria-label": `${what}, to be copied` });
    field.value = text;
    const box = el("section", { class: "notice" }, el("p", {}, `${what}, to be copied by hand:`), field, button("Close", () => box.remove()));
    document.getElementById("view").prepend(box);
    field.focus();
    field.select();
  }

  async ask(address) {
    try {
      await this.host.ask(`I am looking at this, in the Quilt registry: ${address.replace(/\s/g, encodeURIComponent)}\nWhat should I know about it?`);
      say("The question went into the conversation.");
    } catch (problem) {
      say(`${problem.message}`);
    }
  }

  /** All of a file's bytes, verified as the server reads them. A second press stops it. */
  async download(thing, pressed) {
    if (pressed.dataset.stop) return this.stopping?.abort();
    const most = this.host.can.save && this.host.goFull ? MOST_IN_CHAT : MOST_SAVED;
    if (!this.host.can.save || thing.size > most) return this.openLink(thing);
    this.stopping = new AbortController();
    pressed.dataset.stop = "yes";
    try {
      const bytes = await this.calls.bytes(thing, thing.size, (done) => { pressed.textContent = `Stop (${sizeText(done)} of ${sizeText(thing.size)})`; }, this.stopping.signal);
      await this.host.save(baseName(thing.path ?? thing.uri), "application/octet-stream", bytes);
      say("The file is saved.");
    } catch (problem) {
      say(this.stopping.signal.aborted ? "The download was stopped." : `${problem.message} ${problem.next ?? ""}`);
    } finally {
      delete pressed.dataset.stop;
      pressed.textContent = "Download";
    }
  }

  /** For what is too large to go through the view. */
  async openLink(thing) {
    try {
      const { data } = await this.calls.link(thing);
      if (data.url?.startsWith("https://") && this.host.can.link) return await this.host.openLink(data.url);
      const line = isPackage(thing.uri) ? shellLine(thing) : data.url;
      await this.copy(line, "A command that downloads it");
    } catch (problem) {
      say(`${problem.message} ${problem.next ?? ""}`);
    }
  }

  async saveRows(name, columns, rows) {
    const text = csvOf(columns, rows);
    try {
      if (!this.host.can.save) return await this.copy(text, "The rows as CSV");
      await this.host.save(`${name}.csv`, "text/csv", text);
      say("The rows are saved as CSV.");
    } catch (problem) {
      say(problem.message);
    }
  }
}
