"""``quilt-mcp login`` and ``logout``: a person signs in to a stack with the code that its catalog shows in a browser."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from quilt_mcp.auth.bearer import LOGIN_AT
from quilt_mcp.auth.decision import decide
from quilt_mcp.auth.identity import Asker
from quilt_mcp.auth.quilt3_files import Quilt3Files
from quilt_mcp.auth.stack_http import StackHttp, is_same_url
from quilt_mcp.catalog.config import StackConfig
from quilt_mcp.catalog.login import Login, Opened, sign_out
from quilt_mcp.cli import exits
from quilt_mcp.config import Settings, quilt3_folder
from quilt_mcp.domain.people import SignedIn
from quilt_mcp.domain.printable import one_line
from quilt_mcp.errors import AuthenticationError, InvalidArgument, QuiltError
from quilt_mcp.server.watching.log import safe, say

_IN_THE_TERMINAL: Final = frozenset({"www-browser", "lynx", "links", "elinks", "w3m"})
"""Browsers that would take the terminal in which the code is asked for."""
_LONGEST_LINE: Final = 64 << 10


def run_login(settings: Settings) -> int:
    """On a terminal the page is opened and the code asked for, without an echo; otherwise the code is the first line of standard
    input. Raises as ``Login`` and ``StackConfig.ask`` do."""
    files, http = Quilt3Files(quilt3_folder()), StackHttp()
    config = StackConfig.ask(http, _catalog(settings, files))
    login = Login(files, config, http)
    login.require_writable()
    opened = login.sign_in(_ask_code(login.page) if sys.stdin.isatty() else _piped_code(login.page))
    sys.stdout.write(_line(f"Signed in to {config.catalog_url}{_as(opened.who)}."))
    for note in _notes(settings, opened):
        say(_line(f"note: {note}"))
    return exits.OK


def run_logout(settings: Settings) -> int:
    """Raises as ``sign_out``, and as ``StackConfig.ask`` where only the catalog can tell which registry is meant."""
    files, http = Quilt3Files(quilt3_folder()), StackHttp()
    catalog = _catalog(settings, files)
    closed = sign_out(files, _registry(catalog, files, http), http)
    if closed is None:
        sys.stdout.write(_line(f"Nobody is signed in to {catalog}."))
        return exits.OK
    who = f" {closed.user}" if closed.user else ""
    sys.stdout.write(_line(f"Signed out{who} of {catalog}."))
    for warning in closed.warnings:
        say(_line(f"note: {warning}"))
    return exits.OK


def _catalog(settings: Settings, files: Quilt3Files) -> str:
    """The one that is named, else the one that quilt3 is configured for."""
    if settings.catalog_url:
        named = settings.catalog_url.strip()
        return named if "://" in named else f"https://{named}"
    configured = None
    with suppress(AuthenticationError):
        configured = files.config().get("navigator_url")
    if not isinstance(configured, str) or not configured.strip():
        raise InvalidArgument(
            "No catalog is named, and quilt3 is configured for none.", next_step=f"Run `{LOGIN_AT}`."
        )
    return configured.strip()


def _registry(catalog: str, files: Quilt3Files, http: StackHttp) -> str:
    """Without network where quilt3's files know it. ``catalog`` may be a registry that somebody is signed in to."""
    known = files.registry_url()
    if known and is_same_url(str(files.config().get("navigator_url")).strip(), catalog):
        return known
    if any(is_same_url(url, catalog) for url in files.auth()):
        return catalog
    return StackConfig.ask(http, catalog).registry_url


def _ask_code(page: str) -> str:
    import getpass

    shown = _open(page)
    say(
        _line(
            f"{'A browser opens' if shown else 'Open'} {page}{', which' if shown else '. It'} shows a code."
        )
    )
    try:
        return getpass.getpass("Paste the code (it is not shown): ").strip()
    except EOFError:
        return ""


def _piped_code(page: str) -> str:
    code = sys.stdin.buffer.readline(_LONGEST_LINE).decode("ascii", "replace").strip()
    if not code:
        raise InvalidArgument(
            "Standard input is no terminal, and gives no code.",
            next_step=f"Open {page} in a browser, and give the code that it shows as the first line of standard input.",
        )
    return code


def _open(page: str) -> bool:
    """Whether a browser with a window of its own takes it."""
    import webbrowser

    try:
        browser = webbrowser.get()
        name = Path(str(getattr(browser, "name", ""))).name
        return name not in _IN_THE_TERMINAL and browser.open(page)
    except (webbrowser.Error, OSError):
        return False


def _as(who: SignedIn | None) -> str:
    if who is None:
        return ""
    email = f" ({who.email})" if who.email else ""
    return f" as {who.name}{email}{f', role {who.role}' if who.role else ''}"


def _notes(settings: Settings, opened: Opened) -> list[str]:
    notes = list(opened.warnings)
    if opened.backup is not None:
        notes.append(f"quilt3 was configured for another stack; that is kept in {opened.backup}.")
    try:
        identity = decide(settings, Asker("command"))
    except QuiltError as error:
        return [*notes, f"the session is not used yet: {error.message}"]
    if identity.kind != "quilt3":
        chosen = next(one.reason for one in identity.explanation if one.chosen)
        notes.append(f"calls go by {identity.kind}, not by this session: {chosen}")
    return notes


def _line(text: str) -> str:
    return safe(one_line(text)) + "\n"
