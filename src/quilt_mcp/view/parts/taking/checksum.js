// Checksum: whether bytes that came in parts are those that the manifest records.

const CHUNK = 8 * 1024 * 1024;

/** Whether ``bytes`` have the ``recorded`` hash; null where this cannot be told: no hash is recorded, it is of a kind that browsers do not
    make, or the page was not loaded from a secure place. Files here have fewer than 10,000 chunks, so that a chunk has one size. */
export async function hasHash(bytes, recorded) {
  const kind = String(recorded?.type ?? "").toLowerCase();
  if (!globalThis.crypto?.subtle || !["sha256", "sha2-256-chunked"].includes(kind)) return null;
  if (kind === "sha256") return hex(await sha256(bytes)) === recorded.value;
  const digests = [];
  for (let at = 0; at < bytes.length; at += CHUNK)
    digests.push(...new Uint8Array(await sha256(bytes.subarray(at, at + CHUNK))));
  return btoa(String.fromCharCode(...new Uint8Array(await sha256(new Uint8Array(digests))))) === recorded.value;
}

function sha256(bytes) {
  return crypto.subtle.digest("SHA-256", bytes);
}

function hex(digest) {
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
