// Page host: the view as a page of its own. It speaks MCP with the server that sent it, by a token that only this tab holds.
import { exact } from "../text.js";

const PROTOCOL = "2026-07-28";

export class PageHost {
  isPage = true;
  can = { ask: false, link: true, save: true, full: false };
  locale = undefined;
  /** Of an address that was opened where the tab had a token already: taken only by whoever sits there. */
  offered = "";
  #token = null;
  #number = 0;

  /** What the address asks for. A token in it moves to this tab's own store, where there is none yet: an address that is copied opens
      nothing, and one that a stranger sends does not sign the tab's user in as somebody else. */
  asked() {
    const given = new URLSearchParams(location.hash.slice(1));
    this.#token ??= sessionStorage.getItem("token");
    if (given.has("token")) {
      if (!this.#token) this.takeToken(given.get("token"));
      else this.offered = given.get("token");
      given.delete("token");
      history.replaceState(history.state, "", `#${given}`);
    }
    return given.toString();
  }

  takeToken(token) {
    sessionStorage.setItem("token", token);
    this.#token = token;
    this.offered = "";
  }

  async callTool(name, given, signal) {
    const client = {
      "io.modelcontextprotocol/protocolVersion": PROTOCOL,
      "io.modelcontextprotocol/clientCapabilities": {},
      "io.modelcontextprotocol/clientInfo": { name: "quilt-view", version: "1" },
    };
    const body = {
      jsonrpc: "2.0",
      id: ++this.#number,
      method: "tools/call",
      params: { name, arguments: given, _meta: client },
    };
    const headers = {
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      "MCP-Protocol-Version": PROTOCOL,
      "Mcp-Method": "tools/call",
      "Mcp-Name": name,
    };
    if (this.#token) headers.Authorization = `Bearer ${this.#token}`;
    let answer;
    try {
      answer = await fetch("/mcp", {
        method: "POST",
        headers,
        body: JSON.stringify(body),
        signal,
        cache: "no-store",
        credentials: "omit",
      });
    } catch (fault) {
      if (signal?.aborted) throw fault;
      throw {
        code: "offline",
        message: "The server does not answer.",
        next: "It may have been stopped. Start it again with quilt-mcp view, and open the address that it prints.",
      };
    }
    if (answer.status === 401) {
      const message = this.#token ? "The server does not take this token." : "This server asks for a token.";
      sessionStorage.removeItem("token");
      this.#token = null;
      throw {
        code: "token",
        message,
        next: "Open the address that quilt-mcp view printed, or give a token.",
      };
    }
    const reply = await message(answer);
    if (!reply)
      throw {
        code: "offline",
        message: `The server answered with ${answer.status} and nothing to read.`,
        next: "Look at what the server printed.",
      };
    if (reply.error) throw { code: "protocol", message: reply.error.message, next: "" };
    return reply.result;
  }

  openLink(url) {
    window.open(url, "_blank", "noopener,noreferrer");
  }

  save(name, type, content) {
    const url = URL.createObjectURL(new Blob([content], { type })),
      link = document.createElement("a");
    [link.href, link.download] = [url, name];
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  }

  /** After each move the address bar names where the view stands. ``depth``: how many places are behind it. */
  moved(place, isInstead) {
    const depth = history.state?.depth ?? 0;
    if (isInstead || `#${place.key}` === location.hash) history.replaceState({ depth }, "", `#${place.key}`);
    else history.pushState({ depth: depth + 1 }, "", `#${place.key}`);
  }

  get hasBack() {
    return (history.state?.depth ?? 0) > 0;
  }

  back() {
    history.back();
  }

  /** Whenever the address changes otherwise: by Back, by hand, or by a link that is opened in the same tab. */
  onMoved(go) {
    window.addEventListener("popstate", () => go(this.asked()));
  }
}

/** The one message of an answer, as JSON or at the end of a stream of events; null where there is none. */
async function message(answer) {
  const text = await answer.text();
  const lines = (answer.headers.get("content-type") || "").startsWith("text/event-stream")
    ? text
        .split(/\r?\n/)
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5))
    : [text];
  for (const line of lines.reverse()) {
    try {
      const told = JSON.parse(line, exact);
      if (told && (told.result || told.error)) return told;
    } catch {
      // Not a message.
    }
  }
  return null;
}
