// Place: what the view stands at. It goes into the page's address and into each call.

const FACES = ["packages", "browse", "file", "history", "diff"];

export class Place {
  /** ``about``: package and path; or uri, of an object outside packages; or before, after and path; or registry. */
  constructor(face, about = {}) {
    this.face = face;
    this.about = about;
  }

  get key() {
    return new URLSearchParams({ face: this.face, ...this.about }).toString();
  }

  /** Of the page's address, behind '#'; null where it names none. */
  static parse(text) {
    const given = Object.fromEntries(new URLSearchParams(text)),
      face = given.face;
    for (const name of ["face", "token"]) delete given[name];
    if (FACES.includes(face)) return new Place(face, given);
    if (given.before && given.after) return new Place("diff", given);
    if (/^s3:\/\/[^/]+\/?$/.test(given.address ?? "")) return new Place("packages", { registry: given.address });
    if (given.address) return new Place("file", { uri: given.address });
    return null;
  }
}

/** A package's address without a path: quilt+file:///r#package=ns/name@hash. */
export function withoutPath(uri) {
  return uri.replace(/&path=.*$/s, "");
}

export function pathOf(uri) {
  const found = /&path=(.*)$/s.exec(uri);
  return found ? unescaped(found[1]) : "";
}

export function isPackage(uri) {
  return /^quilt\+[a-z0-9]+:\/\//i.test(uri) && uri.includes("#package=");
}

/** { registry, name, hash, tag } of a package's address. */
export function partsOf(uri) {
  const [registry, rest] = withoutPath(uri)
    .replace(/^quilt\+/, "")
    .split("#package=");
  const [, name, , hash, , tag] = /^([^@:]*)(@([^:]*))?(:(.*))?$/.exec(rest ?? "").map((one) => one ?? "");
  return { registry, name: unescaped(name), hash, tag: unescaped(tag) };
}

/** The same package at another revision, '' for its latest. */
export function atRevision(uri, hash) {
  const [registry, rest = ""] = withoutPath(uri).split("#package=");
  const name = rest.replace(/[@:].*$/s, "");
  return `${registry}#package=${name}${hash ? `@${hash}` : ""}`;
}

/** With the path of a file or folder in it, escaped as the server prints addresses. */
export function withPath(uri, path) {
  return path ? `${withoutPath(uri)}&path=${encodeURI(path).replace(/[#&?+]/g, encodeURIComponent)}` : withoutPath(uri);
}

function unescaped(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
