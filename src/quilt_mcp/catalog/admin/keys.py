"""API keys: one's own, and as an administrator everybody's. A new key's secret is handed on and kept nowhere here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from quilt_mcp.catalog.admin.changing import Action, Kind, chosen, gone, inside
from quilt_mcp.catalog.shapes import object_of, objects_of, text_of
from quilt_mcp.catalog.stack import Stack
from quilt_mcp.catalog.unions import result
from quilt_mcp.domain.plan import AdminChange, Record
from quilt_mcp.errors import InvalidArgument, QuiltError
from quilt_mcp.storage.local.secret_file import SecretFile

Vault = Callable[[str], SecretFile]
"""The place at a path for a secret that is still to come."""


class Keys(Kind):
    """``vault`` None: keys of everybody, which are looked at and revoked only."""

    noun = "API key"

    def __init__(self, stack: Stack, vault: Vault | None = None) -> None:
        self._stack = stack
        self._graph = stack.graph
        self._vault = vault
        actions = {"revoke": Action(gone, self._revoke)}
        if vault is not None:
            create = partial(self._create, vault)
            actions["create"] = Action(partial(_created, vault), create, on="absent")
        self.actions = MappingProxyType(actions)

    def rows(self, narrowed: Record) -> Sequence[Record]:
        if self._vault is not None:
            me = self._graph.query("KeyList").get("me")
            if me is None:
                raise self._stack.nobody()
            found = inside(me, "apiKeys")
        else:
            asked = {name: narrowed.get(name) for name in ("email", "name", "status")}
            answer = self._graph.query("KeyListOfAll", **asked)
            found = inside(answer, "admin", "apiKeys", "list")
        rows = [_key(one) for one in objects_of(found)]
        wanted = {name: narrowed[name] for name in ("name", "status") if narrowed.get(name) is not None}
        return [one for one in rows if all(one[name] == value for name, value in wanted.items())]

    def read(self, name: str, given: Record) -> Record | None:
        """By id, or by a name that one key alone has. When it was last used is left out, as that changes by itself."""
        rows = {one["id"]: one for one in self.rows({})}
        known = {key: one["name"] for key, one in rows.items()}
        key = next(iter(chosen(self.noun, [name], known, is_needed=False)), None)
        return (
            None if key is None else {field: one for field, one in rows[key].items() if field != "last_used"}
        )

    def _create(self, vault: Vault, before: Record, after: Record, request: AdminChange) -> Record:
        """The place for the secret is there before the key, so that there is never a key whose secret was lost; where the secret
        cannot be written after all, the key is revoked again."""
        with vault(after["file"]) as place:
            asked = {"name": after["name"], "expiresInDays": after["days"]}
            answer = self._graph.once("KeyCreate", input=asked)
            made = result(answer.get("done"), "APIKeyCreated")
            key = _key(object_of(made.get("apiKey")))
            try:
                place.put(str(made.get("secret")))
            except QuiltError as error:
                raise self._undone(key["id"], error) from error
            return key | {"file": place.path}

    def _undone(self, key_id: str, error: QuiltError) -> InvalidArgument:
        try:
            self._tell_revoked(key_id)
            said = "and the key was revoked again"
        except QuiltError:
            said = f"and the key {key_id} could not be revoked: revoke it"
        return InvalidArgument(
            f"The secret could not be written, {said}. {error.message}",
            next_step="Give another dest.",
            details={**error.details, "id": key_id},
        )

    def _revoke(self, before: Record, after: Record, request: AdminChange) -> None:
        self._tell_revoked(before["id"])

    def _tell_revoked(self, key_id: str) -> None:
        if self._vault is not None:
            answer = self._graph.once("KeyRevoke", id=key_id).get("done")
        else:
            answer = inside(self._graph.once("KeyRevokeOfAny", id=key_id), "admin", "apiKeys", "done")
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


def _created(vault: Vault, before: Record, request: AdminChange) -> Record:
    return {"name": request.name, "days": request.given["days"], "file": vault(request.given["dest"]).path}
