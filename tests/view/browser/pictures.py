"""Pictures of every face, light and dark, narrow and wide: ``python tests/view/pictures.py FOLDER``. For people to look at."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from chromium import Driver
from served import Chat, Pages, Place, chat_of, made_by_quilt3, pages_of

SIZES = {"320": 320, "1400": 1400}


def addresses(place: Place) -> dict[str, tuple[str, str, str]]:
    """By the picture's name: its face, an address, and one to compare it with."""
    cells = place.uri("lab/cells", revision=1)
    files = {
        "table": "data/cells.csv",
        "parquet": "data/cells.parquet",
        "photo": "images/photo.png",
        "plate": "images/plate.tif",
        "svg": "images/logo.svg",
        "notebook": "notebooks/mean.ipynb",
        "python": "scripts/means.py",
        "markdown": "README.md",
        "json": "docs/config.json",
        "pdf": "docs/paper.pdf",
        "binary": "raw/2026/03/plate.bin",
        "empty": "empty.txt",
    }
    shapes = [
        "ragged.csv",
        "wide.csv",
        "long-cell.csv",
        "not-a-picture.png",
        "not-a-table.parquet",
        "gone.txt",
        "long.txt",
        "one-line.txt",
    ]
    hostile = ["notebook.ipynb", "picture.svg", "table.csv", "proto.json", "text.txt"]
    return {
        "packages": ("packages", "", ""),
        "browse": ("browse", cells, ""),
        "names": ("browse", place.uri("lab/names"), ""),
        "hostile": ("browse", place.uri("lab/hostile"), ""),
        "history": ("history", "", ""),
        "diff": ("diff", place.uri("lab/cells", revision=0), cells),
        "diff-hostile": ("diff", place.uri("lab/hostile", revision=0), place.uri("lab/hostile")),
        "notice": ("notice", "no/such", ""),
        **{
            f"file-{name}": ("file", place.uri("lab/cells", path, revision=1), "")
            for name, path in files.items()
        },
        **{f"shape-{name}": ("file", place.uri("lab/shapes", name), "") for name in shapes},
        **{f"hostile-{name}": ("file", place.uri("lab/hostile", name), "") for name in hostile},
    }


def draw(
    driver: Driver, pages: Pages, chat: Chat, folder: Path, only: str, sizes: list[str], themes: list[str]
) -> None:
    for name, (face, address, after) in addresses(pages.place).items():
        for size in sizes:
            for theme in themes:
                if only not in name:
                    continue
                try:
                    if face == "history":
                        given = {"package": "lab/cells"}
                        view = chat.show(
                            driver, face, "package_log", given, width=SIZES[size], context={"theme": theme}
                        )
                    else:
                        view = pages.show(
                            driver, face, address, after, width=SIZES[size], dark=theme == "dark"
                        )
                except AssertionError as lacking:
                    print(f"{name} {size} {theme}: {str(lacking)[:700]}")
                    continue
                view.page.waitForTimeout(700).do()
                view.picture(folder / f"{name}-{size}-{theme}.png", full=True)
                if trouble := [*view.seen["errors"], *view.seen["console"]]:
                    print(f"{name} {size} {theme}: {trouble}")
                view.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="Only faces with this in their names.")
    parser.add_argument("--sizes", nargs="*", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--themes", nargs="*", default=["light", "dark"])
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as profile:
        place, driver = made_by_quilt3(Path(home)), Driver(Path(profile))
        try:
            with pages_of(place) as pages, chat_of(place) as chat:
                draw(driver, pages, chat, given.folder, given.only, given.sizes, given.themes)
        finally:
            driver.close()


if __name__ == "__main__":
    main()
