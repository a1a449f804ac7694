// Calls: the tools of the server that the view asks. All of them read.
import { atRevision, isPackage, withoutPath } from "./place.js";

const PINNED = /^quilt\+[^#]+#package=[^@&]+@[0-9a-f]{64}(&|$)/;
/** Characters of answers. */
const MOST_KEPT = 30_000_000;

export class Calls {
  #host;
  #kept = new Map();
  #lengths = new Map();

  constructor(host) {
    this.#host = host;
  }

  /** { data, page, warnings, uri, picture } of a result. Throws { code, message, next } for a failure, also one that a result tells. */
  async call(tool, given, signal) {
    return told(await this.#host.callTool(tool, given, signal));
  }

  /** As ``call``; what revisions that are all named by their whole hash tell is asked once. */
  async pinned(tool, given) {
    const addresses = [given.package, given.uri, given.before, given.after].filter((one) => one !== undefined);
    if (!addresses.every((one) => PINNED.test(one))) return this.call(tool, given);
    const key = JSON.stringify([tool, given]);
    if (!this.#kept.has(key)) {
      const asked = this.call(tool, given);
      this.#kept.set(key, asked);
      asked.then(
        (found) => {
          if (found.data.verified === "pending") return this.#kept.delete(key);
          this.#lengths.set(key, JSON.stringify(found.data).length + (found.picture?.data.length ?? 0));
          for (const oldest of this.#kept.keys()) {
            if ([...this.#lengths.values()].reduce((sum, one) => sum + one, 0) <= MOST_KEPT) break;
            this.#kept.delete(oldest);
            this.#lengths.delete(oldest);
          }
        },
        () => this.#kept.delete(key),
      );
    }
    return this.#kept.get(key);
  }

  packages(given) {
    return this.call("packages_list", { limit: 200, ...given });
  }

  folder(uri, path, cursor, match) {
    return this.pinned("package_browse", {
      package: withoutPath(uri),
      limit: 1000,
      ...(path ? { path } : {}),
      ...(match ? { match } : {}),
      ...(cursor ? { cursor } : {}),
    });
  }

  log(uri, path, cursor) {
    return this.call("package_log", {
      package: atRevision(withoutPath(uri)),
      detail: true,
      limit: 50,
      ...(path ? { path } : {}),
      ...(cursor ? { cursor } : {}),
    });
  }

  changes(before, after, path, cursor) {
    return this.pinned("package_diff", {
      before,
      after,
      limit: 200,
      ...(path ? { path } : {}),
      ...(cursor ? { cursor } : {}),
    });
  }

  tableChanges(before, after, path, more) {
    return this.pinned("package_diff", { before, after, path, content: true, limit: 200, ...more });
  }

  /** ``file``: { uri, path } of a package's file, or { uri } of an object. */
  read(file, how = {}) {
    return this.pinned("object_read", { ...addressOf(file), ...how });
  }

  link(file) {
    return this.call("object_link", addressOf(file));
  }

  /** The text of a file from its start, up to ``most`` bytes: { text, size, isWhole }. */
  async text(file, most) {
    let text = "",
      offset = 0,
      size = 0;
    for (;;) {
      const { data } = await this.read(file, { mode: "text", offset, length: 48_000 });
      if (typeof data.text !== "string") throw { code: "not_text", message: "This file is not text.", next: "" };
      text += data.text;
      size = data.size;
      if (data.next_offset === undefined || data.next_offset === null || data.next_offset >= most)
        return { text, size, isWhole: data.next_offset === undefined || data.next_offset === null };
      offset = data.next_offset;
    }
  }

  /** All bytes of a file, in parts. ``tell`` hears how many there are yet. */
  async bytes(file, size, tell, signal) {
    const whole = new Uint8Array(size);
    for (let offset = 0; offset < size;) {
      const { data } = await this.call(
        "object_read",
        { ...addressOf(file), mode: "bytes", offset, length: 4_000_000 },
        signal,
      );
      const packed = atob(data.base64 ?? "");
      if (!packed.length)
        throw { code: "short", message: "The file ended before its size.", next: "Verify the package." };
      for (let place = 0; place < packed.length; place++) whole[offset + place] = packed.charCodeAt(place);
      offset += packed.length;
      tell(offset);
    }
    return whole;
  }
}

function addressOf(file) {
  return isPackage(file.uri) ? { package: withoutPath(file.uri), path: file.path } : { uri: file.uri };
}

/** What a result says. A picture comes beside its description. */
export function told(result) {
  const blocks = result?.content ?? [],
    picture = blocks.find((block) => block.type === "image");
  const body = result?.structuredContent ?? parsed(blocks.find((block) => block.type === "text")?.text);
  if (body?.error)
    throw {
      code: body.error.code,
      message: body.error.message,
      next: body.error.next_step ?? "",
      retryable: body.error.retryable,
      details: body.error.details,
    };
  if (result?.isError || !body?.data)
    throw {
      code: "unknown",
      message: blocks.find((block) => block.type === "text")?.text ?? "There is nothing to show.",
      next: "",
    };
  return { data: body.data, page: body.page ?? {}, warnings: body.warnings ?? [], uri: body.uri ?? "", picture };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
