"""The view by the keyboard alone: whatever a mouse reaches is reached, where one stands is seen, and one comes back."""

from __future__ import annotations

import pytest
from chromium import Driver, View
from served import Pages

pytestmark = pytest.mark.xdist_group("view")

FOCUS = "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText ?? '').trim()"
RING = """
(() => {
  const one = document.activeElement, style = getComputedStyle(one);
  return one !== document.body && (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== "none");
})()
"""


def tab_to(view: View, name: str, *, most: int = 40) -> View:
    for _ in range(most):
        view.keys("Tab")
        assert view.js(RING), (
            f"where one stands is not seen: {view.js('document.activeElement.outerHTML')[:300]}"
        )
        if name in view.js(FOCUS):
            return view
    raise AssertionError(f"{name} is not reached by Tab")


def test_a_file_is_reached_and_left_by_keys(pages: Pages, driver: Driver) -> None:
    with pages.show(driver, "packages") as view:
        tab_to(view, "lab/cells").keys("Enter").ready("browse")
        tab_to(view, "README.md")
        view.keys("ArrowDown")
        assert "data/" in view.js(FOCUS)
        view.keys("ArrowRight")
        view.role("row", "cells.csv").waitFor().do()
        assert "data/" in view.js(FOCUS), "focus stays where it was"
        view.keys("ArrowDown")
        assert "cells.csv" in view.js(FOCUS)
        view.keys("ArrowLeft")
        assert "data/" in view.js(FOCUS)
        view.keys("ArrowLeft")
        view.role("row", "cells.csv").waitFor({"state": "detached"}).do()
        view.keys("End")
        assert "scripts/" in view.js(FOCUS)
        view.keys("Home")
        assert "README.md" in view.js(FOCUS)
        view.keys("End", "ArrowUp", "ArrowUp", "ArrowUp", "ArrowUp", "ArrowUp")
        view.keys("Home", "ArrowDown", "Enter")
        view.role("row", "cells.csv").waitFor().do()
        view.keys("ArrowDown", "Enter").ready("file")
        tab_to(view, "alive").keys("Enter")
        assert view.frame.locator('th[aria-sort="ascending"]').count().do() == 1
        tab_to(view, "Rows of cells.csv")
        view.page.keyboard().press("Shift+Tab").do()
        view.page.goBack().do()
        view.ready("browse")
        assert view.js("document.activeElement !== document.body"), "focus is in the view after going back"


def test_a_menu_opens_by_keys_and_escape_leaves_it(pages: Pages, driver: Driver) -> None:
    uri, allowed = pages.place.uri("lab/cells", "data/cells.csv"), ["clipboard-read", "clipboard-write"]
    with pages.show(driver, "file", uri, permissions=allowed) as view:
        tab_to(view, "Copy").keys("Enter", "Tab")
        assert view.js(FOCUS) == "Address"
        view.keys("Escape")
        assert "Copy" in view.js(FOCUS)
        assert view.js("document.querySelector('details.menu').open") is False
        view.keys("Enter", "Tab", "Enter")
        view.frame.getByText("is copied").first().waitFor().do()
        assert view.js("navigator.clipboard.readText()") == pages.place.uri("lab/cells", "data/cells.csv")


def test_two_revisions_are_compared_by_keys(pages: Pages, driver: Driver) -> None:
    with pages.show(driver, "browse", pages.place.uri("lab/cells")) as view:
        tab_to(view, "History").keys("Enter").ready("history")
        tab_to(view, "Choose the revision").keys("Space")
        tab_to(view, "Choose the revision").keys("Space")
        while "Compare the two" not in view.js(FOCUS):
            view.page.keyboard().press("Shift+Tab").do()
        view.keys("Enter").ready("diff")
        tab_to(view, "last.txt")
