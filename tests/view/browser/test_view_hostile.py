"""A hostile package (``hostile.py``) on the page and in a host whose policy lets any inline script run: nothing of it does."""

from __future__ import annotations

import shlex
from urllib.parse import urlsplit

import pytest
from chromium import Driver, View
from hostile import CANARY, FILES, IMAGE, SCRIPT
from served import Chat, Pages

pytestmark = pytest.mark.xdist_group("view")

PLANTED = """
[...document.querySelectorAll("*")].flatMap((one) => [
  ["SCRIPT", "IFRAME", "IMG", "OBJECT", "EMBED", "FORM", "LINK", "BASE", "A", "VIDEO", "FRAME", "FOREIGNOBJECT", "IMAGE"]
    .includes(one.tagName.toUpperCase()) && one.tagName,
  (one.id === "planted" || one.classList.contains("planted")) && "planted",
  ...one.getAttributeNames().filter((name) => /^on|^src|^href|^action|^formaction|^srcdoc/i.test(name)),
  /url\\(/i.test(one.getAttribute("style") ?? "") && "style",
].filter(Boolean))
"""
POLLUTED = "[({}).polluted, ({}).isAdmin, ({}).a, [].polluted, (() => 0).polluted].filter((one) => one !== undefined)"
UNSEEN = (
    r"document.body.innerText.match("
    r"/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g)"
)


def held(view: View) -> str:
    """The text that is shown, after nothing has run, nothing was asked for and no element has come from data."""
    assert view.js("window.__ran ?? null") is None
    assert view.page.evaluate("window.__ran ?? null").do() is None
    assert view.js(PLANTED) == ["SCRIPT"], "the view's own script alone"
    assert view.js(POLLUTED) == []
    assert view.js(UNSEEN) is None, view.js("document.body.innerText.match(/.*\u202e.*/g)")
    seen = view.seen
    assert [
        url for url in seen["requests"] if CANARY in url or urlsplit(url).scheme not in ("http", "about")
    ] == []
    assert seen["dialogs"] == seen["popups"] == seen["downloads"] == seen["errors"] == []
    return view.text


def opened(view: View) -> None:
    """All that may be opened, is."""
    view.frame.locator(".waiting").first().waitFor({"state": "detached"}).do()
    view.js("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    view.page.mouse().wheel(0, 20_000).do()


def test_a_page_of_a_hostile_package_runs_nothing(pages: Pages, driver: Driver) -> None:
    uri = pages.place.uri("lab/hostile")
    with pages.show(driver, "browse", uri) as view:
        for folder in ("quoted/", "odd/"):
            view.entry(folder).click().do()
        view.entry("entity").waitFor().do()
        opened(view)
        text = held(view)
        for shown in (SCRIPT, IMAGE, "u202e", "u001b", "u200b"):
            assert shown in text, shown
        for path in FILES:
            pages.go(view, "file", pages.place.uri("lab/hostile", path))
            opened(view)
            assert held(view), path
        pages.go(view, "diff", pages.place.uri("lab/hostile", revision=0), uri)
        compare = view.frame.locator("li > p:first-child").getByRole("button", {"name": "Compare"})
        for _ in range(compare.count().do()):
            compare.first().click().do()
            opened(view)
        assert SCRIPT in held(view)


def test_a_chat_shows_a_hostile_package_and_runs_nothing(chat: Chat, driver: Driver) -> None:
    """Its policy forbids no inline script: what keeps one from running is that none is made."""
    with chat.show(driver, "browse", "package_browse", {"package": "lab/hostile"}) as view:
        opened(view)
        assert SCRIPT in held(view)
        for path in (
            "README.md",
            "notebook.ipynb",
            "picture.svg",
            "page.html",
            "table.csv",
            "proto.json",
            "script.js",
        ):
            chat.go(view, "file", "object_read", package="lab/hostile", path=path)
            opened(view)
            assert held(view)
        chat.go(view, "history", "package_log", package="lab/hostile")
        assert SCRIPT in held(view)
        before = chat.place.uri("lab/hostile", revision=0)
        chat.go(view, "diff", "package_diff", before=before, after=chat.place.uri("lab/hostile"))
        assert SCRIPT in held(view)


def test_a_link_of_a_readme_goes_nowhere_but_to_the_web_through_the_host(chat: Chat, driver: Driver) -> None:
    with chat.show(driver, "file", "object_read", {"package": "lab/hostile", "path": "README.md"}) as view:
        opened(view)
        for link in range(view.frame.locator(".markdown button.link").count().do()):
            view.frame.locator(".markdown button.link").nth(link).click().do()
            view.frame.locator('html[data-state="ready"]').waitFor({"state": "attached"}).do()
            if view.js("document.documentElement.dataset.face") == "notice":
                view.click("button", "Back").ready("file")
                opened(view)
        links = [one["url"] for one in view.page.evaluate("host.links").do()]
        assert links and all(urlsplit(url).scheme in ("http", "https") for url in links), links
        assert all('"' not in url and " " not in url for url in links), links
        held(view)


def test_rows_saved_and_lines_copied_carry_names_as_data(pages: Pages, driver: Driver) -> None:
    """What is pasted into a shell or Python names the file and runs nothing of its name."""
    path = next(path for path in FILES if path.startswith("quoted/<img"))
    with pages.show(
        driver,
        "file",
        pages.place.uri("lab/hostile", path),
        permissions=["clipboard-read", "clipboard-write"],
    ) as view:
        for choice in ("As Python (quilt3)", "As a shell command"):
            view.frame.locator("summary").filter({"hasText": "Copy"}).first().click().do()
            view.click("button", choice)
            copied = view.js("navigator.clipboard.readText()")
            assert len(copied.splitlines()) < 6
            if "Python" in choice:
                compile(copied, "copied", "exec")
            else:
                assert any(word.endswith(f"/{path}") for word in shlex.split(copied)), copied
        held(view)


def test_a_readme_made_to_take_for_ever_is_shown(pages: Pages, driver: Driver) -> None:
    """Each rule of Markdown at its slowest. What takes as long as the square of it freezes the page past all patience."""
    with pages.show(driver, "file", pages.place.uri("lab/hostile", "slow.md")) as view:
        assert "the end of it" in held(view)
