"""The four faces on a page of their own, in Chromium: what they show, that they fit, and that everybody can read them."""

from __future__ import annotations

import pytest
from chromium import Driver, View
from served import Pages
from shown_packages import NAMES

pytestmark = pytest.mark.xdist_group("view")

FACES = {
    "packages": ("packages", "", ""),
    "browse": ("browse", "lab/cells", ""),
    "table": ("file", "lab/cells/data/cells.csv", ""),
    "picture": ("file", "lab/cells/images/plate.tif", ""),
    "notebook": ("file", "lab/cells/notebooks/mean.ipynb", ""),
    "markdown": ("file", "lab/cells/README.md", ""),
    "json": ("file", "lab/cells/docs/config.json", ""),
    "code": ("file", "lab/cells/scripts/means.py", ""),
    "diff": ("diff", "lab/cells@0", "lab/cells@1"),
    "names": ("browse", "lab/names", ""),
    "notice": ("notice", "no/such", ""),
}


def address(pages: Pages, named: str) -> str:
    """``named``: ns/name, ns/name@number of its revision, or ns/name/path."""
    package, at, number = named.partition("@")
    name, _, path = "/".join(package.split("/")[:2]), None, "/".join(package.split("/")[2:])
    if name not in pages.place.hashes:
        return named
    return pages.place.uri(name, path, revision=int(number) if at else -1)


@pytest.mark.sampled(6)
@pytest.mark.parametrize("name", FACES)
def test_a_face_fits_and_is_accessible_in_both_themes(pages: Pages, driver: Driver, name: str) -> None:
    face, one, other = FACES[name]
    with pages.show(driver, face, address(pages, one), address(pages, other)) as view:
        settle(view)
        for theme in ("light", "dark"):
            view.page.emulateMedia({"colorScheme": theme}).do()
            assert view.violations() == [], theme
            ground = view.js("getComputedStyle(document.documentElement).backgroundColor")
            assert (sum(map(int, ground[4:-1].split(","))) < 380) == (theme == "dark"), ground
        for width in (1400, 320):
            view.page.setViewportSize({"width": width, "height": 900}).do()
            assert view.overflow() <= 0, width
        assert view.seen["errors"] == [] and view.seen["console"] == [], view.seen
        assert view.js("document.documentElement.lang") and view.title


def settle(view: View) -> None:
    """Waits for what a face reads after it is shown: previews in a summary, rows of a table."""
    view.frame.locator(".waiting").first().waitFor({"state": "detached"}).do()


def test_a_package_is_looked_through(pages: Pages, driver: Driver) -> None:
    """Folder, file, back, history, two revisions compared, all by what a person would press."""
    with pages.show(driver, "packages") as view:
        view.click("button", "lab/cells").ready("browse")
        text = view.text
        assert "One more file" in text and "2.19 MB" in text and "Cells under a lens" in text
        assert "species" in text and "human" in text, "metadata"
        assert view.entry("data/").getAttribute("aria-expanded").do() == "false"
        view.entry("data/").click().do()
        view.entry("cells.parquet").waitFor().do()
        view.entry("cells.csv").click().do()
        view.ready("file")
        assert "cells.csv" in view.title
        view.role("cell", "CHO, wild").waitFor().do()
        assert "1,500 rows" in view.text
        view.click("button", "Back").ready("browse")
        view.click("button", "History").ready("history")
        assert [view.text.count(one) for one in ("Counts of the first day", "One more file")] == [1, 1]
        view.frame.getByRole("checkbox").nth(1).check().do()
        view.frame.getByRole("checkbox").nth(2).check().do()
        view.click("button", "Compare the two").ready("diff")
        for said in ("data/new.csv", "scripts/old/means.R", "docs/config.json", "data/cells.csv", "lens-3"):
            assert said in view.text, said
        assert view.seen["errors"] == [] and view.seen["console"] == [], view.seen


def test_the_address_bar_names_what_is_shown_and_never_the_token(pages: Pages, driver: Driver) -> None:
    with pages.show(driver, "browse", pages.place.uri("lab/cells")) as view:
        token = pages.address.partition("#token=")[2].partition("&")[0]
        assert token not in view.page.url().do()
        view.entry("last.txt").click().do()
        view.ready("file")
        shown = view.page.url().do()
        assert token not in shown and "last.txt" in shown
        view.page.reload().do()
        assert "last" in view.ready("file").text
        view.page.goBack().do()
        view.ready("browse")
    with View(driver) as stranger:
        assert "token" in stranger.open(shown, "notice").text, "a copied address opens nothing"
        for address, face in ((shown, "file"), (shown.partition("#")[0], "packages")):
            stranger.js("sessionStorage.clear()")
            stranger.open(address, "notice").frame.getByLabel("Token").fill(token).do()
            stranger.click("button", "Go on").ready(face)
        stranger.js("sessionStorage.setItem('token', 'one-of-yesterday')")
        stranger.open("about:blank")  # the tab goes on to the address that a new run of the command printed
        assert "opened that address yourself" in stranger.open(pages.address, "notice").text
        stranger.click("button", "Go on").ready("packages")


def test_a_table_is_sorted_and_its_rows_saved(pages: Pages, driver: Driver) -> None:
    with pages.show(driver, "file", pages.place.uri("lab/cells", "data/cells.csv")) as view:
        view.frame.getByText("the first 1,000 of 1,500 rows").waitFor().do()
        view.click("button", "alive").click("button", "alive")
        column = view.frame.getByRole("columnheader").filter({"hasText": "alive"})
        assert column.getAttribute("aria-sort").do() == "descending"
        alive = view.frame.locator("tbody tr:not(.room) td:nth-child(4)").allTextContents().do()
        assert alive[0] == "999" and [int(one) for one in alive] == sorted(map(int, alive), reverse=True)
        view.click("button", "viability")
        known = view.frame.locator("tbody tr:not(.room) td:nth-child(5)").allTextContents().do()
        assert known[0].startswith("0.6"), "what is empty stands last"
        view.click("button", "alive").click("button", "alive")
        lines = view.saved(lambda: view.click("button", "Rows as CSV")).splitlines()
        assert len(lines) == 1001 and lines[1].startswith("w00003,HeLa,3,999,")


def test_a_picture_is_enlarged_and_one_of_fifty_megapixels_is_drawn(pages: Pages, driver: Driver) -> None:
    with pages.show(driver, "file", pages.place.uri("lab/cells", "images/plate.tif")) as view:
        canvas = view.frame.locator("canvas")
        canvas.waitFor().do()
        middle = view.js(
            "[...document.querySelector('canvas').getContext('2d').getImageData(600, 400, 1, 1).data]"
        )
        corner = view.js(
            "[...document.querySelector('canvas').getContext('2d').getImageData(5, 5, 1, 1).data]"
        )
        assert middle[0] > 150 and corner[0] < 60, "sixteen bits, of which twelve are used, are seen"
        fit = canvas.boundingBox().do()["width"]
        view.click("button", "Larger")
        assert canvas.boundingBox().do()["width"] > fit
        pages.go(view, "file", pages.place.uri("lab/shapes", "fifty-megapixels.jpg"))
        view.frame.locator("canvas").waitFor().do()
        assert "8000 × 6250" in view.text
        assert view.js("document.querySelector('canvas').width") <= 4096


WORDS = {
    "gone.txt": "does not exist",
    "not-a-picture.png": "damaged",
    "not-a-table.parquet": "not shown here",
    "not-json.json": "no whole JSON",
    "not-a-notebook.ipynb": "",
    "ragged.csv": "line 3: 2 cells, not 3",
    "blanks.csv": "3 to 8, 1 empty",
    "head-only.csv": "0 rows",
    "wide.csv": "300",
    "deep.json": "",
    "one-line.txt": "xxxx",
}


def test_what_cannot_be_shown_is_told_in_words(pages: Pages, driver: Driver) -> None:
    with pages.show(driver, "packages") as view:
        told: dict[str, str] = {}
        for name in WORDS:
            pages.go(view, "file", pages.place.uri("lab/shapes", name))
            settle(view)
            told[name] = view.text
        lacking = {name: told[name] for name, words in WORDS.items() if words not in told[name]}
        assert lacking == {}
        assert all(len(text.splitlines()) > 3 for text in told.values())
        assert view.seen["errors"] == [], view.seen
        pages.go(view, "file", pages.place.uri("lab/cells", "empty.txt"))
        assert "empty" in view.text.replace("empty.txt", "")
        pages.go(view, "file", pages.place.uri("lab/cells", "docs/config.json"))
        assert "12345678901234567890" in view.text, "a number of twenty digits keeps them"


def test_two_revisions_are_compared_cell_by_cell_line_by_line_and_under_a_slider(
    pages: Pages, driver: Driver
) -> None:
    before, after = (pages.place.uri("lab/cells", revision=number) for number in (0, 1))
    with pages.show(driver, "diff", before, after) as view:
        compare = view.frame.locator("li > p:first-child").getByRole("button", {"name": "Compare"})
        while compare.count().do():
            compare.first().click().do()
        changed = view.frame.getByRole("table").filter({"hasText": "w00010"})
        changed.waitFor().do()
        rows = changed.getByRole("row").allInnerTexts().do()
        assert [row.split() for row in rows[1:3]] == [["w00003", "519", "999"], ["w00004", "Jurkat", "Vero"]]
        assert "1 row added" in view.text and "1 row removed" in view.text and "3 rows changed" in view.text
        assert "w99999" in view.text and "w00020" in view.text
        assert "+ And then again." in view.text
        view.click("button", "Slider")
        slide = view.role("slider")
        cut = "document.querySelector('.over canvas:last-of-type').style.clipPath"
        slide.press("Home").do()
        assert "100%" in view.js(cut)
        slide.press("End").do()
        assert "100%" not in view.js(cut)
        view.role("textbox", "Key columns").fill("hour").do()
        view.role("textbox", "Key columns").press("Tab").do()
        view.frame.locator(".tablediff").getByRole("button", {"name": "Compare"}).click().do()
        view.frame.locator(".tablediff").getByText("do not tell the rows").waitFor().do()
        assert view.overflow() <= 0 and view.violations() == []
        assert view.seen["errors"] == [] and view.seen["console"] == [], view.seen


def test_a_server_that_has_gone_is_told_of_and_asked_once_more(pages: Pages, driver: Driver) -> None:
    with pages.show(driver, "browse", pages.place.uri("lab/cells")) as view:
        view.context.setOffline(True).do()
        view.entry("last.txt").click().do()
        assert "does not answer" in view.ready("notice").text
        view.context.setOffline(False).do()
        view.click("button", "Try once more").ready("file")
        assert view.seen["errors"] == [], view.seen


def test_text_from_right_to_left_is_read_from_there_and_stands_apart(pages: Pages, driver: Driver) -> None:
    with pages.show(driver, "browse", pages.place.uri("lab/names")) as view:
        holds = "(one) => /[\u0590-\u05ff]/.test(one.innerText)"
        direction = f"getComputedStyle([...document.querySelectorAll('NAME')].find({holds})).direction"
        for name in ("h2", ".message", ".tree .data", ".json .data"):
            assert view.js(direction.replace("NAME", name)) == "rtl", name
        alone = view.js("getComputedStyle(document.querySelector('.tree .data')).unicodeBidi")
        assert alone in ("isolate", "plaintext")
        assert "\U0001f469\u200d\U0001f52c" in view.text, "a joined emoji stays one"
        for path in NAMES:
            pages.go(view, "file", pages.place.uri("lab/names", path))
            assert view.js("document.querySelector('.content').innerText.trim() !== ''"), path
