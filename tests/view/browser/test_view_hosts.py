"""The view in a chat: what a host of MCP Apps, made of the reference packages, sees of it in both eras, and may refuse."""

from __future__ import annotations

import pytest
from chromium import Driver
from served import ERAS, Chat

pytestmark = pytest.mark.xdist_group("view")


@pytest.mark.parametrize("era", ERAS)
def test_a_host_shows_what_a_tool_answered_and_proxies_what_the_view_asks(
    chat: Chat, driver: Driver, era: str
) -> None:
    with chat.show(driver, "browse", "package_browse", {"package": "lab/cells"}, era=era) as view:
        assert view.page.evaluate("host.asked.filter((one) => one.name === 'package_browse')").do() == []
        assert "One more file" in view.text and view.violations() == []
        view.entry("data/").click().do()
        view.entry("cells.csv").click().do()
        view.ready("file")
        view.role("cell", "CHO, wild").waitFor().do()
        asked = view.page.evaluate("host.asked.map((one) => one.name)").do()
        assert set(asked) <= {"package_browse", "object_read"}, asked
        view.click("button", "Ask about this")
        view.frame.getByText("went into the conversation").first().waitFor().do()
        [message] = view.page.evaluate("host.messages").do()
        assert "cells.csv" in message["content"][0]["text"]
        view.click("button", "Download")
        view.frame.getByText("is saved").first().waitFor().do()
        [download] = view.page.evaluate("host.downloads").do()
        assert download["contents"][0]["resource"]["uri"].endswith("cells.csv")
        view.click("button", "Back").ready("browse")
        assert view.page.evaluate("host.sizes.length").do() > 0, (
            "a host sizes the frame by what the view says"
        )
        own = [one for one in view.seen["console"] if era == "modern" or "405" not in one]
        assert view.seen["errors"] == own == [], (
            "405 is for the client of the old era, which asks for a stream"
        )


TOOLS = {
    "file": ("object_read", {"package": "lab/cells", "path": "images/photo.png"}),
    "history": ("package_log", {"package": "lab/cells"}),
    "diff": ("package_diff", {"before": "lab/cells@{first}", "after": "lab/cells@{last}"}),
}


def test_each_face_follows_its_tool_and_the_hosts_theme(chat: Chat, driver: Driver) -> None:
    """One view for many calls, as hosts keep it, on the ground and in the language that the host says."""
    hashes = chat.place.hashes["lab/cells"]
    context = {"theme": "dark", "locale": "de-DE"}
    with chat.show(driver, "browse", "package_browse", {"package": "lab/cells"}, context=context) as view:
        for face, (tool, named) in TOOLS.items():
            given = {name: value.format(first=hashes[0], last=hashes[-1]) for name, value in named.items()}
            chat.go(view, face, tool, **given)
            if face == "file":
                view.frame.locator("canvas").waitFor().do()
            assert view.violations() == [], face
            assert dark(view.js("getComputedStyle(document.documentElement).backgroundColor"))
            assert view.overflow() <= 0
        view.page.evaluate("host.context({ theme: 'light' })").do()
        view.page.waitForTimeout(100).do()
        assert not dark(view.js("getComputedStyle(document.documentElement).backgroundColor"))
        assert view.seen["errors"] == [] and view.seen["console"] == [], view.seen


def dark(ground: str) -> bool:
    return sum(map(int, ground.removeprefix("rgb(").removesuffix(")").split(","))) < 380


def test_a_host_that_refuses_a_call_is_told_of_in_words(chat: Chat, driver: Driver) -> None:
    given = {"package": "lab/cells"}
    with chat.show(driver, "browse", "package_browse", given, mode="refuses") as view:
        view.entry("last.txt").click().do()
        view.ready("notice")
        assert "refused" in view.text and "the person said no" in view.text
        view.click("button", "Back").ready("browse")
        view.entry("data/").click().do()
        view.frame.getByText("the person said no").first().waitFor().do()
        assert view.seen["errors"] == [], view.seen


def test_a_host_that_sends_an_error_has_it_told_as_text(chat: Chat, driver: Driver) -> None:
    with chat.show(driver, "notice", "package_browse", {"package": "lab/cells"}, mode="error") as view:
        assert "<b>the host</b> lost the result" in view.text
    with chat.show(driver, "notice", "package_browse", {"package": "no/such"}) as view:
        assert "no/such" in view.text and "package_not_found" not in view.text


@pytest.mark.parametrize("mode", ["nothing", "silent"])
def test_a_host_that_sends_nothing_leaves_a_word_of_it(chat: Chat, driver: Driver, mode: str) -> None:
    """``silent``: it does not even greet."""
    with chat.show(driver, "notice", "package_browse", {"package": "lab/cells"}, mode=mode) as view:
        assert "chat client" in view.text


def test_a_host_that_can_do_nothing_is_offered_nothing(chat: Chat, driver: Driver) -> None:
    """No messages, no downloads, no links: the view shows what it was sent, and leaves out what the host cannot do."""
    given = {"package": "lab/cells", "path": "data/cells.csv"}
    with chat.show(driver, "file", "object_read", given, capabilities={"serverTools": {}}) as view:
        assert view.frame.getByRole("button", {"name": "Ask about this"}).count().do() == 0
        view.click("button", "Rows as CSV")
        view.frame.getByText("copied").first().waitFor().do()
        assert view.seen["errors"] == [], view.seen
