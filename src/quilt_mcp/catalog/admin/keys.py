"""API keys: one's own, and as an administrator everybody's. A new key's secret is handed on and kept nowhere here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from quilt_mcp.catalog.admin.changing import Action, chosen, gone, inside, missing
from quilt_mcp.catalog.graph import Graph
from quilt_mcp.catalog.shapes import object_of, objects_of, text_of
from quilt_mcp.catalog.unions import result
from quilt_mcp.domain.plan import AdminChange, Record
from quilt_mcp.errors import InvalidArgument, QuiltError, StackFailed
from quilt_mcp.storage.local.secret_file import SecretFile

_FOLDER: Final = "admin/keys"
Vault = Callable[[str], SecretFile]
"""The place at a path for a secret that is still to come."""


class Keys:
    """``vault`` None: keys of everybody, which are looked at and revoked only."""

    noun = "API key"

    def __init__(self, graph: Graph, vault: Vault | None = None) -> None:
        self._graph = graph
        self._vault = vault
        actions = {"revoke": Action(gone, self._revoke)}
        if vault is not None:
            actions["create"] = Action(_created, self._create, on="absent")
        self.actions: Mapping[str, Action] = MappingProxyType(actions)

    def rows(self, narrowed: Record) -> Sequence[Record]:
        if self._vault is not None:
            found = inside(self._graph.query(f"{_FOLDER}/KeyList"), "me", "apiKeys")
        else:
            asked = {name: narrowed.get(name) for name in ("email", "name", "status")}
            answer = self._graph.query(f"{_FOLDER}/KeyListOfAll", **asked)
            found = inside(answer, "admin", "apiKeys", "list")
        rows = [_key(one) for one in objects_of(found)]
        wanted = {name: narrowed[name] for name in ("name", "status") if narrowed.get(name) is not None}
        return [one for one in rows if all(one[name] == value for name, value in wanted.items())]

    def look(self, name: str, given: Record) -> Record:
        found = self.read(name, given)
        if found is None:
            raise missing(self.noun, name, self.names(given))
        return found

    def read(self, name: str, given: Record) -> Record | None:
        """By id, or by a name that one key alone has. When it was last used is left out, as that changes by itself."""
        rows = {one["id"]: one for one in self.rows({})}
        known = {key: one["name"] for key, one in rows.items()}
        key = next(iter(chosen(self.noun, [name], known, is_needed=False)), None)
        return (
            None if key is None else {field: rows[key][field] for field in rows[key] if field != "last_used"}
        )

    def names(self, given: Record) -> Sequence[str]:
        return [one["name"] for one in self.rows({})]

    def _create(self, before: Record, after: Record, request: AdminChange) -> Record:
        """The place for the secret is there before the key, so that there is never a key whose secret was lost; where the secret
        cannot be written after all, the key is revoked again."""
        assert self._vault is not None, "it is an action of one's own keys alone"
        with self._vault(after["file"]) as deposit:
            asked = {"name": after["name"], "expiresInDays": after["days"]}
            answer = self._graph.once(f"{_FOLDER}/KeyCreate", input=asked)
            made = result(answer.get("done"), "APIKeyCreated")
            key, secret = _key(object_of(made.get("apiKey"))), text_of(made.get("secret"))
            if secret is None:
                raise StackFailed(
                    "The stack made a key and told no secret.", next_step="Revoke it, and make another."
                )
            try:
                deposit.put(secret)
            except QuiltError as error:
                self._tell_revoked(key["id"])
                raise InvalidArgument(
                    f"The secret could not be written, and the key was revoked again. {error.message}",
                    next_step="Give another dest.",
                    details=error.details,
                ) from error
            return key | {"file": deposit.path}

    def _revoke(self, before: Record, after: Record, request: AdminChange) -> None:
        self._tell_revoked(before["id"])

    def _tell_revoked(self, key_id: str) -> None:
        if self._vault is not None:
            answer = self._graph.once(f"{_FOLDER}/KeyRevoke", id=key_id).get("done")
        else:
            answer = inside(
                self._graph.once(f"{_FOLDER}/KeyRevokeOfAny", id=key_id), "admin", "apiKeys", "done"
            )
        result(answer, "Ok")


def _key(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": str(found.get("id") or ""),
        "name": str(found.get("name") or ""),
        "fingerprint": str(found.get("fingerprint") or ""),
        "email": text_of(found.get("userEmail")),
        "status": text_of(found.get("status")),
        "created": text_of(found.get("createdAt")),
        "expires": text_of(found.get("expiresAt")),
        "last_used": text_of(found.get("lastUsedAt")),
    }


def _created(before: Record, request: AdminChange) -> Record:
    return {"name": request.name, "days": request.given["days"], "file": request.given["dest"]}
