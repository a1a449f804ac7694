"""One Chromium for many tests: Playwright in a Node process, and a page of it as a test speaks of one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from parts.node_tools import MODULES, node_command
from parts.programs import program

DRIVER = Path(__file__).with_name("driver.mjs")
AXE = MODULES / "axe-core" / "axe.min.js"
MILLISECONDS = 15_000
"""What does not come in that time does not come."""


_AXE_RUN = """
axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) => violations.map((one) =>
  [one.id + ": " + one.help, ...one.nodes.slice(0, 3).map((node) => node.html + " " + node.failureSummary)].join("; ")))
"""


class BrowserSaid(Exception):
    """Playwright's own words on what did not happen."""


class Remote:
    """An object of Playwright's in the Node process, or one that a chain of its methods leads to. ``do`` answers plain values."""

    def __init__(self, driver: Driver, on: int, chain: tuple[list[Any], ...] = ()) -> None:
        self._driver, self._on, self._chain = driver, on, chain

    def __getattr__(self, method: str) -> Any:
        return lambda *args: Remote(self._driver, self._on, (*self._chain, [method, *args]))

    def do(self) -> Any:
        return self._driver.ask(self._on, self._chain)

    def kept(self) -> Remote:
        return Remote(self._driver, self._driver.ask(self._on, self._chain, keep=True))


class Driver:
    def __init__(self, home: Path) -> None:
        node = node_command("playwright-core/index.js")[0]
        given = {"modules": str(MODULES), "chromium": program("chromium"), "home": str(home)}
        self._process = subprocess.Popen(
            [node, str(DRIVER), json.dumps(given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        )
        self.browser = Remote(self, 0)

    def ask(self, on: int, chain: tuple[list[Any], ...], *, keep: bool = False) -> Any:
        """Raises BrowserSaid."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"on": on, "chain": chain, "keep": keep}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise BrowserSaid(f"the browser's process has ended with {self._process.wait(10)}")
        told = json.loads(line)
        if "error" in told:
            raise BrowserSaid(told["error"])
        return told["value"]

    def close(self) -> None:
        self._process.communicate(timeout=30)


class View:
    """A page that shows the view, or the page of a host that has it in a frame. ``frame`` is the view's own document."""

    def __init__(
        self,
        driver: Driver,
        *,
        width: int = 1400,
        height: int = 900,
        dark: bool = False,
        locale: str = "en-US",
        **options: Any,
    ) -> None:
        self.context = driver.browser.newContext(
            {
                "viewport": {"width": width, "height": height},
                "colorScheme": "dark" if dark else "light",
                "reducedMotion": "reduce",
                "locale": locale,
                **options,
            }
        ).kept()
        self.context.setDefaultTimeout(MILLISECONDS).do()
        self.page = self.context.newPage().kept()
        self.frame = self.page.mainFrame().kept()

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.context.close().do()

    def open(self, url: str, face: str | None = None) -> View:
        self.page.goto(url).do()
        return self.ready(face) if face else self

    def ready(self, face: str) -> View:
        """Returns when the view shows this face, whole."""
        shown = f'html[data-face="{face}"][data-state="ready"]'
        try:
            self.frame.locator(shown).waitFor({"state": "attached"}).do()
        except BrowserSaid as said:
            found = self.js(
                "({face: {...document.documentElement.dataset}, text: document.body.innerText.slice(0, 2000)})"
            )
            raise AssertionError(
                f"no face {face}: {found}; {self.seen['errors']}{self.seen['console']}"
            ) from said
        return self

    def role(self, role: str, name: str | None = None, *, exact: bool = False) -> Remote:
        """The first with this role whose accessible name holds ``name``."""
        options = {} if name is None else {"name": name, "exact": exact}
        return self.frame.getByRole(role, options).first()

    def entry(self, name: str) -> Remote:
        """A row of the tree of files."""
        return self.frame.getByRole("treegrid").getByRole("row", {"name": name}).first()

    def click(self, role: str, name: str | None = None) -> View:
        self.role(role, name).click().do()
        return self

    def keys(self, *keys: str) -> View:
        for key in keys:
            self.page.keyboard().press(key).do()
        return self

    def js(self, expression: str | dict[str, str], *arguments: Any) -> Any:
        return self.frame.evaluate(expression, *arguments).do()

    @property
    def text(self) -> str:
        return self.js("document.body.innerText")

    @property
    def title(self) -> str:
        return self.page.title().do()

    def saved(self, press: Callable[[], object]) -> str:
        """The text of the file that the browser saves when ``press`` is done."""
        before = len(self.seen["downloads"])
        press()
        while len(self.seen["downloads"]) == before:
            self.page.waitForTimeout(50).do()
        return Path(self.seen["downloads"][before]).read_text()

    @property
    def seen(self) -> dict[str, list[str]]:
        """The page's errors, requests, dialogs and popups so far."""
        return self.page.seen().do()

    def violations(self) -> list[str]:
        """What axe-core has against the view as it stands."""
        self.js({"$text": str(AXE)})
        return self.js(_AXE_RUN)

    def overflow(self) -> int:
        """By how many pixels the body is wider than the window."""
        return self.js("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def picture(self, path: Path, *, full: bool = False) -> None:
        self.page.screenshot({"path": str(path), "fullPage": full}).do()
