// Chat host: the view beside a conversation, in a frame of an MCP client (MCP Apps, 2026-01-26). All goes by messages to that client.

const PROTOCOL = "2026-01-26";
const PATIENCE = 10_000;
const LATEST = 90_000;

export class ChatHost {
  isPage = false;
  can = { ask: false, link: false, save: false, full: false };
  locale = undefined;
  #number = 0;
  #waiting = new Map();
  #visited = [];
  #told = {};
  #context = {};
  #onResult = () => {};
  #onBack = () => {};

  /** Waits for the client's greeting. Each result of a tool goes to ``take``, with the arguments of the call: the first may come late,
      and a client may keep one view for more calls. Throws where the client stays silent. */
  async connect(take) {
    this.#onResult = (result) => take(result, this.#told);
    window.addEventListener("message", (event) => event.source === window.parent && this.#receive(event.data));
    const about = {
      appInfo: { name: "quilt-view", version: "1" },
      appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
      protocolVersion: PROTOCOL,
    };
    const greeted = await this.#ask("ui/initialize", about, PATIENCE);
    const able = greeted.hostCapabilities ?? {};
    this.can = {
      ask: Boolean(able.message),
      link: Boolean(able.openLinks),
      save: Boolean(able.downloadFile),
      full: false,
    };
    this.#take(greeted.hostContext ?? {});
    this.#tell("ui/notifications/initialized", {});
    new ResizeObserver(() => this.#size()).observe(document.body);
  }

  callTool(name, given, signal) {
    return this.#ask("tools/call", { name, arguments: given }, LATEST, signal);
  }

  async ask(text) {
    const answer = await this.#ask("ui/message", { role: "user", content: [{ type: "text", text }] }, PATIENCE);
    if (answer.isError) throw { code: "refused", message: "The chat client did not take the question.", next: "" };
  }

  async openLink(url) {
    const answer = await this.#ask("ui/open-link", { url }, LATEST);
    if (answer.isError) throw { code: "refused", message: "The chat client did not open the link.", next: "" };
  }

  async save(name, type, content) {
    const isText = typeof content === "string";
    const resource = {
      uri: `file:///${encodeURIComponent(name)}`,
      mimeType: type,
      ...(isText ? { text: content } : { blob: packed(content) }),
    };
    const answer = await this.#ask("ui/download-file", { contents: [{ type: "resource", resource }] }, LATEST);
    if (answer.isError) throw { code: "refused", message: "The chat client did not save the file.", next: "" };
  }

  async goFull() {
    const mode = this.#context.displayMode === "fullscreen" ? "inline" : "fullscreen";
    const answer = await this.#ask("ui/request-display-mode", { mode }, PATIENCE);
    this.#take({ displayMode: answer.mode });
  }

  /** There is no address bar: the way back is kept here. */
  moved(place, isInstead) {
    if (isInstead) this.#visited.pop();
    this.#visited.push(place);
  }

  get hasBack() {
    return this.#visited.length > 1;
  }

  back() {
    this.#visited.pop();
    const place = this.#visited.pop();
    if (place) this.#onBack(place);
  }

  onMoved(go) {
    this.#onBack = go;
  }

  #receive(message) {
    if (!message || message.jsonrpc !== "2.0") return;
    if (message.method === undefined) {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (!waiting) return;
      if (message.error)
        waiting.reject({
          code: "refused",
          message: `The chat client refused: ${message.error.message ?? "no reason"}`,
          next: "Ask for it in the conversation, or open the package with quilt-mcp view.",
        });
      else waiting.resolve(message.result ?? {});
      return;
    }
    const given = message.params ?? {};
    if (message.method === "ui/notifications/tool-input") this.#told = given.arguments ?? {};
    else if (message.method === "ui/notifications/tool-result") this.#onResult(given);
    else if (message.method === "ui/notifications/tool-cancelled")
      this.#onResult({
        isError: true,
        content: [{ type: "text", text: `The call was cancelled. ${given.reason ?? ""}` }],
      });
    else if (message.method === "ui/notifications/host-context-changed") this.#take(given);
    else if (message.id !== undefined) this.#answer(message);
  }

  #answer(message) {
    const known = ["ui/resource-teardown", "ping"].includes(message.method);
    this.#post(
      known
        ? { id: message.id, result: {} }
        : { id: message.id, error: { code: -32601, message: "The view has no such method." } },
    );
  }

  #take(context) {
    Object.assign(this.#context, context);
    const root = document.documentElement,
      { theme, styles, locale, availableDisplayModes, displayMode, containerDimensions, safeAreaInsets } =
        this.#context;
    if (theme === "light" || theme === "dark") root.style.colorScheme = theme;
    for (const [name, value] of Object.entries(styles?.variables ?? {}))
      if (/^--(color|font|border)-[a-z0-9-]+$/.test(name) && typeof value === "string" && !/url\(|image/i.test(value))
        root.style.setProperty(name, value);
    this.locale = locale;
    this.can.full = Boolean(availableDisplayModes?.includes("fullscreen"));
    root.dataset.mode = displayMode === "fullscreen" || containerDimensions?.height ? "full" : "inline";
    for (const side of ["top", "right", "bottom", "left"])
      if (safeAreaInsets?.[side] > 0) root.style.setProperty(`--inset-${side}`, `${Number(safeAreaInsets[side])}px`);
  }

  #size() {
    const { scrollHeight: height, scrollWidth: width } = document.documentElement;
    this.#tell("ui/notifications/size-changed", {
      width,
      height: Math.min(height, Math.ceil(document.body.getBoundingClientRect().height)),
    });
  }

  #ask(method, params, most, signal) {
    const id = ++this.#number;
    const asked = new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      signal?.addEventListener("abort", () => {
        this.#waiting.delete(id);
        reject(signal.reason);
      });
    });
    this.#post({ id, method, params });
    return withinTime(asked, most, {
      code: "silent",
      message: "The chat client does not answer.",
      next: "Ask for the package once more in the conversation.",
    });
  }

  #tell(method, params) {
    this.#post({ method, params });
  }

  #post(message) {
    window.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
  }
}

function withinTime(promise, most, otherwise) {
  return Promise.race([promise, new Promise((_, reject) => setTimeout(reject, most, otherwise))]);
}

function packed(bytes) {
  let text = "";
  for (let place = 0; place < bytes.length; place += 32_768)
    text += String.fromCharCode(...bytes.subarray(place, place + 32_768));
  return btoa(text);
}
