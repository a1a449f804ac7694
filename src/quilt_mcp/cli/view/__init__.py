"""``quilt-mcp view``: packages in the browser, served on loopback to whoever started it, for as long as it runs."""

from __future__ import annotations

import argparse
import os
import re
import threading
from dataclasses import replace
from functools import partial
from typing import Final
from urllib.parse import quote

from quilt_mcp.cli import exits
from quilt_mcp.cli.arguments import add_settings
from quilt_mcp.cli.screen import screen_of
from quilt_mcp.config import Settings
from quilt_mcp.domain.address import (
    CatalogLink,
    below_root,
    has_scheme,
    is_link,
    is_path,
    lower_scheme,
    names_hash,
    names_package,
    parse_object,
    parse_package,
    parse_registry,
)
from quilt_mcp.errors import InvalidArgument, QuiltError
from quilt_mcp.server.watching.log import say

_HASH: Final = re.compile(r"@?[0-9A-Fa-f]{6,64}")
_ANY: Final = "s3://any"
"""A registry for addresses that are only read, not looked for."""
_TOKENS: Final = 250_000
"""Of an answer: a megabyte. No model reads it."""


def fill_view(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "address",
        nargs="?",
        metavar="ADDRESS",
        help="What to show: a package (ns/name, ns/name@hash), a file or folder in one (ns/name/path), a quilt+ URI, an object "
        "(s3://, ./file). Default: the packages of the registry.",
    )
    parser.add_argument(
        "after",
        nargs="?",
        metavar="AFTER",
        help="A revision or package to compare ADDRESS with: what changed from ADDRESS to it.",
    )
    parser.add_argument(
        "--port", dest="view_port", type=_port, default=0, metavar="N", help="Default: any free one."
    )
    parser.add_argument(
        "--no-open", action="store_true", help="Only print the address, and start no browser."
    )
    add_settings(parser, serve=False, default=argparse.SUPPRESS, shown=("default_registry", "roots"))


def run_view(settings: Settings, arguments: argparse.Namespace) -> int:
    """Serves until Ctrl-C, which is how it is meant to end. Nothing of the settings of a server counts: it listens on loopback,
    asks for a token of its own, and never writes.

    Raises InvalidUri, InvalidName, InvalidArgument before anything is served, and what ``serve`` raises."""
    from quilt_mcp.server import serve

    try:
        shown = fragment(settings, arguments.address, arguments.after)
    except QuiltError as error:
        from quilt_mcp.cli.verbs.words import for_people

        error.next_step = for_people(error.next_step)
        raise
    own = replace(
        settings,
        http=True,
        single_user=True,
        view=True,
        allow_write=False,
        max_response_tokens=max(settings.max_response_tokens, _TOKENS),
        host="127.0.0.1",
        port=arguments.view_port,
        http_token=None,
        allowed_hosts=(),
        allowed_origins=(),
    )
    try:
        serve(own, partial(_announce, shown, not arguments.no_open))
    except SystemExit as ending:
        if ending.code != exits.INTERRUPTED:
            raise
    return exits.OK


def fragment(settings: Settings, address: str | None, after: str | None) -> str:
    """What the page reads behind '#', which no server and no log is told. Raises InvalidUri, InvalidName, InvalidArgument."""
    if address is None:
        return ""
    if after is None:
        return f"&address={_escaped(checked(settings, address))}"
    sides = [address.strip(), after.strip()]
    alone = [_HASH.fullmatch(side) is not None for side in sides]
    if all(alone):
        raise InvalidArgument(
            "Both are hashes alone, and no package is named.",
            next_step=f"Name it in one of them: quilt-mcp view {sides[0]} ns/name@{sides[1].lstrip('@')}",
        )
    for side, is_hash in zip(sides, alone, strict=True):
        if not is_hash:
            parse_package(side, _ANY)
    return f"&before={_escaped(sides[0])}&after={_escaped(sides[1])}"


def checked(settings: Settings, typed: str) -> str:
    """An address as every tool takes it; a path of this machine as a URL. Whether there is such a thing is for the page to find.
    Raises InvalidUri, InvalidName."""
    text = lower_scheme(typed.strip())
    if text.startswith("quilt+") or (is_link(text) and CatalogLink.parse(text).package is not None):
        parse_package(text, _ANY)
        return text
    if is_link(text):
        parse_registry(text)
        return text
    if has_scheme(text):
        parse_object(text)
        return text
    if not is_path(text):
        root = next(iter(settings.local_roots()), None)
        is_file = text and root is not None and os.path.lexists(root / text)
        if names_package(text) or names_hash(text) or not is_file:
            parse_package(text, _ANY)
            return text
    return below_root(text, next(iter(settings.local_roots()), None))


def _escaped(text: str) -> str:
    return quote(text, safe="", errors="surrogateescape")


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 65535")
    return int(text)


def _announce(shown: str, opens: bool, url: str, new_token: str | None) -> None:
    """``url``: of the endpoint. The browser is started beside: one that runs in this terminal returns when it is left."""
    address = f"{url.removesuffix('/mcp')}/view#token={new_token}{shown}"
    screen = screen_of()
    screen.line(address)
    screen.out.flush()
    say("It shows what you may read to whoever has this address, and changes nothing. Ctrl-C ends it.\n")
    if opens:
        threading.Thread(target=_open, args=(address,), daemon=True).start()


def _open(address: str) -> None:
    import webbrowser

    if not webbrowser.open(address):
        say("No browser could be started here: open the address in one.\n")
