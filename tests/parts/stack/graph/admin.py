"""What stands under ``admin``: users, single sign-on, open query, the packager's rules, everybody's API keys."""

from __future__ import annotations

import re
import time
from typing import Any

import yaml

from parts.stack.graph import buckets, roles
from parts.stack.graph.asking import OK, Asking, invalid_input, operation_error
from parts.stack.graph.session import api_key, chosen_keys
from parts.stack.holdings import Failure
from parts.stack.state import User, moment


def user(asking: Asking, kept: User) -> dict[str, Any]:
    def named(name: str) -> dict[str, Any] | None:
        role = asking.state.role_named(name)
        return None if role is None else roles.role(asking, role)

    return {
        "__typename": "User",
        "name": kept.name,
        "email": kept.email,
        "dateJoined": moment(kept.joined),
        "lastLogin": moment(kept.last_login),
        "isActive": kept.is_active,
        "isAdmin": kept.is_admin,
        "isSsoOnly": False,
        "isService": False,
        "role": named(kept.role),
        "extraRoles": [one for name in kept.extra_roles if (one := named(name))],
        "isRoleAssignmentDisabled": asking.state.sso is not None,
        "isAdminAssignmentDisabled": False,
    }


def _missing_role(asking: Asking, names: list[str], path: str) -> dict[str, Any] | None:
    for name in names:
        if asking.state.role_named(name) is None:
            return invalid_input(path, "RoleNotFound", f"there is no role {name}")
    return None


def create(info: Any, input: dict[str, Any]) -> dict[str, Any]:
    asking: Asking = info.context
    state, name, email = asking.state, input["name"], input["email"]
    if not re.fullmatch(r"[a-z]\w{0,63}", name):
        return invalid_input("input.name", "InvalidUsername", "is no user name")
    if name in state.users:
        return invalid_input("input.name", "NotUnique", "the name is taken")
    if "@" not in email:
        return invalid_input("input.email", "InvalidEmail", "is no address")
    if any(one.email == email for one in state.users.values()):
        return invalid_input("input.email", "NotUnique", "the address is taken")
    extra = input.get("extraRoles") or []
    missing = _missing_role(asking, [input["role"], *extra], "input.role")
    if missing:
        return missing
    state.users[name] = User(name, email, input["role"], list(extra))
    return user(asking, state.users[name])


class Changing:
    """The mutations of one user."""

    def __init__(self, asking: Asking, kept: User) -> None:
        self.asking, self.kept = asking, kept

    def _done(self) -> dict[str, Any]:
        return user(self.asking, self.kept)

    def _is_self(self) -> bool:
        return self.asking.user is self.kept

    def delete(self, info: Any) -> dict[str, Any]:
        if self._is_self():
            return operation_error(Failure("DeleteSelf", "you cannot delete yourself"))
        del self.asking.state.users[self.kept.name]
        return OK

    def setEmail(self, info: Any, email: str) -> dict[str, Any]:
        if "@" not in email:
            return invalid_input("email", "InvalidEmail", "is no address")
        self.kept.email = email
        return self._done()

    def setRole(
        self, info: Any, role: str, extraRoles: list[str] | None = None, append: bool = False
    ) -> dict[str, Any]:
        missing = _missing_role(self.asking, [role, *(extraRoles or [])], "role")
        if missing:
            return missing
        before = self.kept.roles if append else []
        wanted = [*before, *(extraRoles or [])]
        self.kept.role = role
        self.kept.extra_roles = [name for name in dict.fromkeys(wanted) if name != role]
        return self._done()

    def addRoles(self, info: Any, roles: list[str]) -> dict[str, Any]:
        missing = _missing_role(self.asking, roles, "roles")
        if missing:
            return missing
        self.kept.extra_roles = [
            name for name in dict.fromkeys([*self.kept.extra_roles, *roles]) if name != self.kept.role
        ]
        return self._done()

    def removeRoles(self, info: Any, roles: list[str], fallback: str | None = None) -> dict[str, Any]:
        left = [name for name in self.kept.roles if name not in roles]
        if not left:
            if fallback is None:
                return invalid_input("fallback", "NoRoleLeft", "the user would have no role")
            missing = _missing_role(self.asking, [fallback], "fallback")
            if missing:
                return missing
            left = [fallback]
        self.kept.role, self.kept.extra_roles = left[0], left[1:]
        return self._done()

    def setAdmin(self, info: Any, admin: bool) -> dict[str, Any]:
        if self._is_self():
            return operation_error(Failure("AdminSelf", "you cannot change this of yourself"))
        self.kept.is_admin = admin
        return self._done()

    def setActive(self, info: Any, active: bool) -> dict[str, Any]:
        if self._is_self():
            return operation_error(Failure("DeactivateSelf", "you cannot deactivate yourself"))
        self.kept.is_active = active
        return self._done()

    def resetPassword(self, info: Any) -> dict[str, Any]:
        return OK


def _mutate(info: Any, name: str) -> Changing | None:
    kept = info.context.state.users.get(name)
    return None if kept is None else Changing(info.context, kept)


def _sso(asking: Asking) -> dict[str, Any] | None:
    kept = asking.state.sso
    if kept is None:
        return None
    uploader = user(asking, kept["uploader"])
    return {
        "__typename": "SsoConfig",
        "text": kept["text"],
        "timestamp": kept["timestamp"],
        "uploader": uploader,
    }


def set_sso(info: Any, config: str | None = None) -> dict[str, Any] | None:
    asking: Asking = info.context
    if config is None:
        asking.state.sso = None
        return None
    try:
        read = yaml.safe_load(config)
    except yaml.YAMLError as error:
        return invalid_input("config", "InvalidYaml", str(error))
    if not isinstance(read, dict) or "version" not in read or "mappings" not in read:
        return invalid_input("config", "InvalidConfig", "'version' and 'mappings' are required")
    for mapping in read["mappings"]:
        missing = _missing_role(asking, mapping.get("roles") or [], "config")
        if missing:
            return missing
    asking.state.sso = {"text": config, "timestamp": moment(time.time()), "uploader": asking.user}
    return _sso(asking)


def _rules(asking: Asking) -> list[dict[str, Any]]:
    return [{"name": name, "enabled": enabled} for name, enabled in asking.state.rules.items()]


def _rule(info: Any, name: str) -> dict[str, Any] | None:
    return next((rule for rule in _rules(info.context) if rule["name"] == name), None)


def _toggle(info: Any, name: str, enabled: bool) -> dict[str, Any]:
    if name not in info.context.state.rules:
        return operation_error(Failure("NotFound", f"there is no rule {name}"))
    info.context.state.rules[name] = enabled
    return {"__typename": "PackagerEventRule", "name": name, "enabled": enabled}


def _keys(asking: Asking) -> list[dict[str, Any]]:
    return [api_key(key) for key in asking.state.api_keys.values()]


def _revoke(info: Any, id: str) -> dict[str, Any]:
    if info.context.state.api_keys.pop(id, None) is None:
        return invalid_input("id", "NotFound", "there is no such key")
    return OK


def queries(asking: Asking) -> dict[str, Any]:
    state = asking.state
    return {
        "user": {
            "list": lambda info: [user(asking, one) for one in state.users.values()],
            "get": lambda info, name: user(asking, state.users[name]) if name in state.users else None,
        },
        "ssoConfig": lambda info: _sso(asking),
        "isDefaultRoleSettingDisabled": lambda info: state.sso is not None,
        "tabulatorOpenQuery": lambda info: state.open_query,
        "packager": {"eventRules": lambda info: _rules(asking), "eventRule": _rule},
        "apiKeys": {
            "list": lambda info, **wanted: chosen_keys(_keys(asking), **wanted),
            "get": lambda info, id: next((key for key in _keys(asking) if key["id"] == id), None),
        },
    }


def _set_open_query(info: Any, enabled: bool) -> dict[str, Any]:
    info.context.state.open_query = enabled
    return {"tabulatorOpenQuery": enabled}


def mutations() -> dict[str, Any]:
    return {
        "user": {"create": create, "mutate": _mutate},
        "setSsoConfig": set_sso,
        "setTabulatorOpenQuery": _set_open_query,
        "bucketSetTabulatorTable": buckets.set_table,
        "bucketRenameTabulatorTable": buckets.rename_table,
        "packager": {"toggleEventRule": _toggle},
        "apiKeys": {"revoke": _revoke},
    }


def admin(info: Any) -> dict[str, Any]:
    return queries(info.context) if info.parent_type.name == "Query" else mutations()


ROOT = {"admin": admin}
