"""The view in Chromium: how soon after a tool's result it is painted, how soon a folder opens in a package of 100,000 entries,
how long a frame takes while that scrolls, and a picture of 50 megapixels.

Times are medians in milliseconds. ``paint``: from the host's handing over of package_browse's result to the frame after the one
in which the view is whole. ``folder``: from a click to the frame with the files of a folder of 1,000. ``frame``: the longest gap
between frames while 30,000 pixels are scrolled. ``picture``: from its address to the frame that has it; ``picture_silence``: the
longest gap between frames in that time.

python bench/view.py [--rounds 7]
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import report
from manifest_text import PACKAGE, write_revision

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests/view/browser"))

from chromium import Driver, View
from served import Chat, Pages, chat_of, made_by_quilt3, pages_of

from parts.node_tools import MODULES
from quilt_mcp.view.page import page

ENTRIES = 100_000
PAINTED = """
new Promise((resolve) => {
  const look = () => CONDITION ? requestAnimationFrame(() => resolve(Date.now())) : requestAnimationFrame(look);
  look();
})
"""
READY = (
    "document.documentElement.dataset.state === 'ready' && document.documentElement.dataset.face === 'browse'"
)
GAPS = """
window.gaps = new Promise((resolve) => {
  let before = performance.now(), longest = 0, left = FRAMES;
  const next = () => {
    const now = performance.now();
    [longest, before] = [Math.max(longest, now - before), now];
    EACH;
    left-- > 0 && !window.enough ? requestAnimationFrame(next) : resolve(longest);
  };
  requestAnimationFrame(next);
})
"""


def painted(view: View, condition: str) -> int:
    """When, by the browser's clock, the frame after that came in which this held."""
    return view.js(PAINTED.replace("CONDITION", condition))


def paint(chat: Chat, driver: Driver) -> float:
    with chat.show(driver, "", "package_browse", {}, mode="later") as view:
        while not view.page.evaluate("host.isGreeted === true").do():
            time.sleep(0.05)
        view.page.evaluate("host.later = host.show('package_browse', { package: 'lab/cells' }), 1").do()
        return painted(view, READY) - view.page.evaluate("host.sent").do()


def large(pages: Pages, driver: Driver) -> tuple[float, float]:
    with pages.show(driver, "browse", PACKAGE) as view:
        view.entry("run-00000/").waitFor().do()
        view.js(
            "document.querySelector('.tree').addEventListener('click', () => { window.pressed = Date.now() }, true)"
        )
        view.entry("run-00000/").click().do()
        shown = painted(view, "document.querySelector('.tree').innerText.includes('sample_0003')")
        each = "document.querySelector('.tree').scrollTop += 500"
        return shown - view.js("window.pressed"), longest(view, 60, each)


def longest(view: View, frames: int, each: str = "null") -> float:
    view.js(GAPS.replace("FRAMES", str(frames)).replace("EACH", each) + ", 1")
    return view.js("window.gaps")


def picture(pages: Pages, driver: Driver) -> tuple[float, float]:
    with pages.show(driver, "packages") as view:
        view.js(GAPS.replace("FRAMES", "100000").replace("EACH", "null") + ", 1")
        start = view.js("Date.now()")
        pages.go(view, "file", pages.place.uri("lab/shapes", "fifty-megapixels.jpg"))
        shown = painted(view, "document.querySelector('canvas')")
        return shown - start, view.js("(window.enough = true, window.gaps)")


def measured(rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="quilt-mcp-bench-") as folder:
        home, profile = Path(folder) / "home", Path(folder) / "profile"
        home.mkdir()
        profile.mkdir()
        place, driver = made_by_quilt3(home), Driver(profile)
        write_revision(place.registry, ENTRIES)
        try:
            with pages_of(place) as pages, chat_of(place) as chat:
                paint(chat, driver)
                large(pages, driver)
                paints = [paint(chat, driver) for _ in range(rounds)]
                folders, frames = zip(*(large(pages, driver) for _ in range(rounds)), strict=True)
                pictures, silences = zip(*(picture(pages, driver) for _ in range(3)), strict=True)
        finally:
            driver.close()
    middle = {
        "paint": paints,
        "folder": folders,
        "frame": frames,
        "picture": pictures,
        "picture_silence": silences,
    }
    return {name: round(statistics.median(times)) for name, times in middle.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    if not shutil.which("chromium") or not (MODULES / "playwright-core").exists():
        print("Chromium or playwright-core is not installed: make programs node")
        return
    report(
        "view",
        {
            "entries": ENTRIES,
            "rounds": rounds,
            "page_bytes": len(page().encode()),
            "milliseconds": measured(rounds),
            "targets": {"page_bytes": 150_000, "paint": 300, "folder": 1_000},
        },
    )


if __name__ == "__main__":
    main()
