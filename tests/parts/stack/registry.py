"""The registry's HTTP interface beside GraphQL: signing in, tokens, AWS credentials, the older search."""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from datetime import UTC, datetime
from typing import Any

import boto3

from parts.stack.graph.asking import Asking
from parts.stack.holdings import Holdings
from parts.stack.search import documents, elastic
from parts.stack.search.matching import check, score
from parts.stack.search.query_string import Boolean, QuerySyntaxError, parse
from parts.stack.state import CODE_SECONDS, KEY_SECONDS, Keys, Refused, State, Token, User


class Registry:
    def __init__(self, state: State, holdings: Holdings) -> None:
        self.state = state
        self.holdings = holdings
        self.sts = boto3.client("sts")

    # tokens

    def login(self, given: dict[str, Any]) -> dict[str, Any]:
        user = self.state.users.get(given.get("username", ""))
        if user is None or not user.password or given.get("password") != user.password or not user.is_active:
            raise Refused(401, "Login attempt failed")
        user.last_login = time.time()
        token, expires = self.state.new_token(user)
        return {"token": token, "exp": int(expires)}

    def code(self, user: User) -> dict[str, Any]:
        """Works once, for ten minutes."""
        code = secrets.token_hex(16)
        self.state.codes[code] = Token(user.name, time.time() + CODE_SECONDS)
        said = json.dumps({"id": user.id, "code": code})
        return {"code": base64.b64encode(said.encode()).decode()}

    def exchange(self, given: str) -> dict[str, Any]:
        """For a code or a token, a new token, as both tokens of the answer. A token that was given stays good."""
        user = self._of_code(given) or self.state.user_of(given)
        token, expires = self.state.new_token(user)
        return {"refresh_token": token, "access_token": token, "expires_at": int(expires)}

    def _of_code(self, given: str) -> User | None:
        try:
            said = json.loads(base64.b64decode(given, validate=True))
        except ValueError:
            return None
        row = self.state.codes.pop(said.get("code"), None) if isinstance(said, dict) else None
        if row is None or row.expires < time.time() or row.user not in self.state.users:
            raise Refused(401, "Code invalid")
        return self.state.users[row.user]

    def refresh(self, user: User, token: str) -> dict[str, Any]:
        self.state.revoke(token)
        fresh, expires = self.state.new_token(user)
        return {"token": fresh, "exp": int(expires)}

    # the signed-in user's

    @staticmethod
    def me(user: User) -> dict[str, Any]:
        return {
            "current_user": user.name,
            "email": user.email,
            "is_active": user.is_active,
            "is_staff": user.is_admin,
        }

    def credentials(self, user: User) -> dict[str, Any]:
        """Keys of the user's role as it is now; the gate before S3 knows whose they are."""
        role = self.state.role_named(user.role)
        if role is None:
            raise Refused(403, "User has no role")
        session = re.sub(r"[^A-Za-z0-9+=,.@-]", "-", user.name)[:64]  # what AWS takes for one
        given = self.sts.assume_role(RoleArn=role.arn, RoleSessionName=session, DurationSeconds=KEY_SECONDS)
        keys = given["Credentials"]
        expires = time.time() + KEY_SECONDS
        self.state.keys[keys["AccessKeyId"]] = Keys(user.name, role.name, expires)
        return {
            "AccessKeyId": keys["AccessKeyId"],
            "SecretAccessKey": keys["SecretAccessKey"],
            "SessionToken": keys["SessionToken"],
            "Expiration": datetime.fromtimestamp(expires, UTC).isoformat(timespec="seconds"),
        }

    # the older search

    def search(self, asking: Asking, given: dict[str, str]) -> dict[str, Any]:
        """``action=search`` takes a query string, ``freeform`` a body. An index that the user's role does not show is refused."""
        size, start = int(given.get("size", 10)), int(given.get("from", 0))
        text = given.get("query", "")
        if given.get("action") == "freeform":
            return self._freeform(asking, given)
        if given.get("action") != "search":
            raise Refused(400, "Unknown action")
        try:
            query = parse(text)
            check(query)
            found = [
                (points, one)
                for one in self._indexed(asking, given.get("index", "_all"))
                if (points := score(query, one.fields)) or query == Boolean(())
            ]
        except QuerySyntaxError as error:
            raise Refused(400, str(error)) from None
        found.sort(key=lambda pair: -pair[0])
        hits = [_hit(points, one) for points, one in found[start : start + size]]
        total = {"value": len(found), "relation": "eq"}
        return {"took": 1, "timed_out": False, "hits": {"total": total, "max_score": 1.0, "hits": hits}}

    def _freeform(self, asking: Asking, given: dict[str, str]) -> dict[str, Any]:
        names = given.get("index", "_all").split(",")
        shown = [name for bucket in asking.permissions for name in (bucket, f"{bucket}_packages")]
        if names in (["_all"], ["*"]):
            names = shown
        if hidden := [name for name in names if name not in shown]:
            raise Refused(403, f"no such index {hidden}")
        held: list[elastic.Raw] = []
        for name in names:
            bucket = name.removesuffix("_packages")
            of_kind = elastic.objects if name == bucket else elastic.packages
            held += of_kind(self.holdings, bucket)
        body = json.loads(given["body"])
        body |= {name: int(given[name]) for name in ("size", "from") if name in given}
        try:
            return elastic.answer(body, held)
        except (QuerySyntaxError, elastic.Unknown, KeyError) as error:
            raise Refused(400, str(error)) from None

    def _indexed(self, asking: Asking, index: str) -> list[documents.Document]:
        names = index.split(",")
        found = []
        for bucket in asking.permissions:
            if "_all" in names or "*" in names or bucket in names:
                found += documents.objects(self.holdings, bucket)
            if "_all" in names or "*" in names or f"{bucket}_packages" in names:
                for one in documents.packages(self.holdings, bucket, latest_only=False):
                    found += [one, *one.entries]
        return found


def _hit(points: float, one: documents.Document) -> dict[str, Any]:
    is_object = "key" in one.fields
    source = {name: value for name, value in one.fields.items() if not name.endswith(".text")}
    for name in [name for name in source if "." in name]:
        outer, inner = name.split(".")
        source.setdefault(outer, {})[inner] = source.pop(name)
    for name in ("last_modified", "ptr_last_modified", "mnfst_last_modified"):
        if name in source:
            source[name] = datetime.fromtimestamp(source[name], UTC).isoformat()
    return {
        "_index": one.bucket if is_object else f"{one.bucket}_packages",
        "_type": "_doc",
        "_id": one.id,
        "_score": points,
        "_source": source,
    }
