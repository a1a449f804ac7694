"""What a test makes of the stack from outside: users, tokens, faults, and what was asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parts.stack.state import User, new_bucket

if TYPE_CHECKING:
    from parts.stack.app import Site


def carry_out(site: Site, said: dict[str, Any]) -> Any:
    return _ACTIONS[said["do"]](site, **said.get("with", {}))


def _add_user(site: Site, name: str, roles: list[str], admin: bool, password: str) -> None:
    user = User(name, f"{name}@example.com", roles[0], list(roles[1:]), admin, password=password)
    for role in roles:
        if site.state.role_named(role) is None:
            raise LookupError(role)
    site.state.users[name] = user


def _add_role(site: Site, name: str, permissions: dict[str, str]) -> str:
    return site.state.add_role(name, permissions).id


def _add_bucket(site: Site, name: str) -> None:
    site.state.buckets[name] = new_bucket(name)


def _bucket(site: Site, name: str, change: dict[str, Any]) -> None:
    site.state.buckets[name] |= change


def _token(site: Site, name: str, seconds: float) -> str:
    return site.state.new_token(site.state.users[name], seconds)[0]


def _code(site: Site, name: str) -> str:
    return site.registry.code(site.state.users[name])["code"]


def _api_key(site: Site, name: str, label: str, days: float) -> str:
    return site.state.new_api_key(site.state.users[name], label, days).secret


def _set_role(site: Site, name: str, role: str) -> None:
    user = site.state.users[name]
    if site.state.role_named(role) is None:
        raise LookupError(role)
    user.extra_roles = [one for one in user.roles if one != role]
    user.role = role


def _set_active(site: Site, name: str, active: bool) -> None:
    site.state.users[name].is_active = active


def _requests(site: Site) -> list[dict[str, Any]]:
    assert site.struck is not None
    with site.struck.lock:
        return list(site.struck.requests)


def _s3_requests(site: Site) -> list[dict[str, Any]]:
    with site.gate.lock:
        return list(site.gate.requests)


def _forget(site: Site) -> None:
    assert site.struck is not None
    with site.struck.lock:
        site.struck.requests.clear()
    with site.gate.lock:
        site.gate.requests.clear()


def _reset(site: Site, profile: str, buckets: list[str], config: dict[str, Any]) -> None:
    site.plan.clear()
    site.gate.silence = 0.0
    site.config = config
    site.state.__init__(profile, buckets)  # type: ignore[misc]  # in place: everything holds this one
    _forget(site)


_ACTIONS: dict[str, Any] = {
    "add_user": _add_user,
    "add_role": _add_role,
    "add_bucket": _add_bucket,
    "change_bucket": _bucket,
    "token": _token,
    "code": _code,
    "api_key": _api_key,
    "accept": lambda site, token, name: site.state.accepted.update({token: name}),
    "revoke": lambda site, token: site.state.revoke(token),
    "set_role": _set_role,
    "set_active": _set_active,
    "profile": lambda site, profile: setattr(site.state, "profile", profile),
    "graph_search": lambda site, on: setattr(site.state, "graph_search", on),
    "browse_redirects": lambda site, on: setattr(site.state, "browse_redirects", on),
    "config": lambda site, change: site.config.update(change),
    "fault": lambda site, fault: site.plan.add(fault),
    "clear_faults": lambda site: site.plan.clear(),
    "requests": _requests,
    "s3_requests": _s3_requests,
    "s3_silence": lambda site, seconds: setattr(site.gate, "silence", seconds),
    "forget": _forget,
    "reset": _reset,
}
