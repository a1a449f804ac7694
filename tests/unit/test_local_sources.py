"""What a source names: files, folders, patterns, links, and what is said when it names nothing."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import pytest

from quilt_mcp.errors import (
    InvalidName,
    InvalidUri,
    NotAFile,
    NotSupported,
    OutsideRoots,
    PermissionDenied,
    QuiltError,
    SourceNotFound,
)
from quilt_mcp.storage.local.confined import TEMP_PREFIX
from quilt_mcp.storage.local.folder import LocalFolder
from quilt_mcp.storage.local.stores import LocalStores
from quilt_mcp.storage.local.syscalls import Syscalls
from quilt_mcp.storage.store import Found, FoundFiles

FILES = (
    "data/a.csv",
    "data/b.json",
    "data/deep/c.csv",
    "data/.hidden.csv",
    "data/.git/d.csv",
    "data[1].csv",
    "é b.csv",
    "top.csv",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in FILES:
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "root"


@pytest.fixture
def stores(root: Path) -> LocalStores:
    return LocalStores([root / "registry"], [root], working_folder=root)


async def files(found: FoundFiles) -> list[Found]:
    return [file async for page in found.pages for file in page]


async def relatives(stores: LocalStores, origin: str) -> list[str]:
    return [file.relative for file in await files(await stores.find(origin))]


async def warnings_of(stores: LocalStores, origin: str) -> list[str]:
    """Complete once the last page is there."""
    found = await stores.find(origin)
    await files(found)
    return found.warnings


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("data/*.csv", ["a.csv"]),
        ("data/**/*.csv", ["a.csv", "deep/c.csv"]),
        ("data/**", ["a.csv", "b.json", "deep/c.csv"]),
        ("**/c.csv", ["data/deep/c.csv"]),
        ("data/.*.csv", [".hidden.csv"]),
        ("data/.git/*", ["d.csv"]),
        ("data/?.csv", ["a.csv"]),
        ("data/[ab].*", ["a.csv", "b.json"]),
        ("data/[!a].*", ["b.json"]),
        ("*/*.json", ["data/b.json"]),
        ("data", [".git/d.csv", ".hidden.csv", "a.csv", "b.json", "deep/c.csv"]),
        ("data/", [".git/d.csv", ".hidden.csv", "a.csv", "b.json", "deep/c.csv"]),
        ("./data/deep/../deep", ["c.csv"]),
        ("data/nothing*", []),
    ],
)
async def test_a_folder_or_pattern_names_files_below_it_in_walk_order(
    stores: LocalStores, origin: str, expected: list[str]
) -> None:
    found = await stores.find(origin)
    assert not found.is_single
    named = await files(found)
    assert [file.relative for file in named] == expected
    assert [file.size for file in named] == [Path(file.physical_key.path).stat().st_size for file in named]


@pytest.mark.anyio
@pytest.mark.parametrize("origin", ["top.csv", "data[1].csv", "é b.csv", "data/../top.csv"])
async def test_one_file_is_named_by_its_own_name_even_when_it_looks_like_a_pattern(
    stores: LocalStores, root: Path, origin: str
) -> None:
    for text in (origin, str(root / origin), f"{root}/./{origin}"):
        found = await stores.find(text)
        assert found.is_single
        assert [file.relative for file in await files(found)] == [Path(origin).name]


@pytest.mark.anyio
async def test_a_file_url_is_as_good_as_a_path(stores: LocalStores, root: Path) -> None:
    found = await stores.find((root / "é b.csv").as_uri())
    assert [file.physical_key.path for file in await files(found)] == [str(root / "é b.csv")]


@pytest.mark.anyio
async def test_a_home_folder_is_expanded(
    stores: LocalStores, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(root))
    assert await relatives(stores, "~/data/*.json") == ["b.json"]
    assert await relatives(stores, "~/top.csv") == ["top.csv"]
    with pytest.raises(SourceNotFound):
        await stores.find("~nobody-of-that-name/x")


@pytest.mark.anyio
async def test_what_is_missing_is_source_not_found_and_close_names_are_suggested(stores: LocalStores) -> None:
    for origin in ("data/a.cvs", "data/A.csv"):
        with pytest.raises(SourceNotFound) as caught:
            await stores.find(origin)
        assert "a.csv" in caught.value.details["suggestions"]
        assert "a.csv" in caught.value.message
    for origin in ("no/such/thing", "top.csv/below", "n" * 300):
        expected = InvalidName if len(origin) == 300 else SourceNotFound
        with pytest.raises(expected):
            await stores.find(origin)
    with pytest.raises(InvalidName):
        await stores.find("n" * 300)


@pytest.mark.anyio
async def test_a_source_outside_the_roots_names_the_flag(stores: LocalStores, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    """But for folders of the system, which nobody should open by pasting what an error says."""
    for origin, is_named in (
        ("/etc/passwd", False),
        ("../secret", True),
        (str(tmp_path / "secret"), True),
        (f"{tmp_path}/sec*", True),
        ("/etc/*", False),
        ("file:///etc/passwd", False),
    ):
        with pytest.raises(OutsideRoots) as caught:
            await stores.find(origin)
        assert ("--root " in caught.value.next_step) == is_named


@pytest.mark.anyio
async def test_other_schemes_and_impossible_paths_are_refused(stores: LocalStores) -> None:
    with pytest.raises(NotSupported):
        await stores.find("s3://bucket/key")
    for origin in ("ftp://host/x", "a\0b", "\ud800"):
        with pytest.raises(InvalidUri):
            await stores.find(origin)


@pytest.mark.anyio
async def test_a_linked_folder_inside_the_roots_is_a_source_where_it_really_lies(
    stores: LocalStores, root: Path
) -> None:
    (root / "link").symlink_to(root / "data" / "deep")
    found = await stores.find("link")
    assert [(file.relative, file.physical_key.path) for file in await files(found)] == [
        ("c.csv", str(root / "data/deep/c.csv"))
    ]


def test_a_name_that_is_not_utf8_is_refused_with_the_way_to_leave_it_out(root: Path) -> None:
    (root / "data" / "caf\udce9.csv").write_bytes(b"x")
    folder = LocalFolder(root)
    (fault,) = [file.fault for file in folder.scan("data") if file.fault]
    assert isinstance(fault, InvalidName)
    assert ".quiltignore" in fault.next_step
    (root / "data" / ".quiltignore").write_text("caf*\n")
    assert "a.csv" in [file.relative for file in folder.scan("data")]


def test_everything_in_a_folder_is_told_with_the_folders_that_cannot_be_listed(root: Path) -> None:
    class Closed(Syscalls):
        def open_folder(self, name: str, *, dir_fd: int | None = None) -> int:
            if name == ".git":
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return super().open_folder(name, dir_fd=dir_fd)

    (root / "data/there").symlink_to("deep")
    refused: list[tuple[str, QuiltError]] = []
    found = list(LocalFolder(root, kernel=Closed()).everything("data", refused=refused))
    assert found == [
        (".hidden.csv", "file"), ("a.csv", "file"), ("b.json", "file"), ("deep/c.csv", "file"), ("there", "link"),
    ]  # fmt: skip
    assert [(path, type(error)) for path, error in refused] == [(".git", PermissionDenied)]


def test_what_may_not_be_read_is_named_itself_and_keeps_nothing_else_away_case_A8(root: Path) -> None:
    class Closed(Syscalls):
        def open_folder(self, name: str, *, dir_fd: int | None = None) -> int:
            return self._refusing(name, super().open_folder, dir_fd)

        def open_file(self, name: str, *, dir_fd: int) -> int:
            return self._refusing(name, super().open_file, dir_fd)

        def _refusing(self, name: str, opened: Any, dir_fd: int | None) -> int:
            if name in (".git", "b.json"):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return opened(name, dir_fd=dir_fd)

    found = list(LocalFolder(root, kernel=Closed()).scan("data"))
    assert [(file.relative, type(file.fault)) for file in found] == [
        (".hidden.csv", type(None)),
        ("a.csv", type(None)),
        ("b.json", PermissionDenied),
        ("deep/c.csv", type(None)),
        (".git/", PermissionDenied),
    ]
    told = {file.relative: file.fault.message for file in found if file.fault}
    assert "'data/b.json'" in told["b.json"] and "'data/.git'" in told[".git/"]


def test_a_file_that_only_its_owner_may_read_is_told_so_case_X12(root: Path) -> None:
    (root / "data/a.csv").chmod(0o600)
    (root / "data/b.json").chmod(0o640)
    found = {file.relative: file.is_private for file in LocalFolder(root).scan("data")}
    assert [name for name, is_private in found.items() if is_private] == ["a.csv"]
    assert LocalFolder(root).stat("data/a.csv").is_private


def test_a_folder_is_not_a_source_file_and_a_file_is_no_folder(root: Path) -> None:
    folder = LocalFolder(root)
    with pytest.raises(NotAFile):
        folder.stat("data")
    with pytest.raises(SourceNotFound):
        list(folder.scan("top.csv"))
    assert folder.is_folder("data")
    assert not folder.is_folder("top.csv")
    assert not folder.is_folder("nothing")


def test_a_file_that_cannot_be_placed_leaves_no_trace(root: Path) -> None:
    folder = LocalFolder(root)
    before = sorted(root.rglob("*"))
    with pytest.raises(LookupError), folder.new_file("data/new.bin") as file:
        file.write(b"half")
        raise LookupError
    assert sorted(root.rglob("*")) == before


def test_what_a_killed_install_left_is_swept_by_the_next_and_never_shown(root: Path) -> None:
    old, young = root / "data" / f"{TEMP_PREFIX}old", root / "data" / f"{TEMP_PREFIX}young"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    folder = LocalFolder(root)
    assert not [file for file in folder.scan("data") if TEMP_PREFIX in file.relative]
    folder.write_file("data/new.bin", b"x")
    assert not old.exists()
    assert young.exists()


@pytest.mark.anyio
async def test_what_is_passed_over_is_warned_of_unless_a_rule_asked_for_it(
    stores: LocalStores, root: Path
) -> None:
    (root / "data/broken").symlink_to("nothing")
    (root / "data/linked").symlink_to(root / "data/deep")
    os.mkfifo(root / "data/pipe")
    (warning,) = await warnings_of(stores, "data")
    assert warning.startswith("passed_over: ")
    for words in ("data/broken is a broken link", "data/linked is a link to a folder", "data/pipe is a pipe"):
        assert words in warning
    (root / "data/.quiltignore").write_text("broken\nlinked\npipe\n")
    assert await warnings_of(stores, "data") == []


WALK = """
import sys
from pathlib import Path
import anyio
from quilt_mcp.storage.local.folder import LocalFolder
from quilt_mcp.storage.local.store import LocalStore

async def listed():
    return [stat.key async for stat in LocalStore(root).list()]

root = Path(sys.argv[1])
anyio.run(listed)
sys.setrecursionlimit(int(sys.argv[2]))
for found in LocalFolder(root).scan(), LocalFolder(root).glob("**/file"):
    print([file.relative for file in found] == [sys.argv[3]])
print(anyio.run(listed) == [sys.argv[3]])
"""


def test_a_folder_deeper_than_pythons_stack_is_scanned_and_listed(tmp_path: Path) -> None:
    """Below what one path could name, too. ``rm`` removes it, which Python's own way could not."""
    depth = 400
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d" * 20, dir_fd=here)
        above, here = here, os.open("d" * 20, os.O_RDONLY, dir_fd=here)
        os.close(above)
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)
    arguments = [tmp_path, str(depth), ("d" * 20 + "/") * depth + "file"]
    done = subprocess.run(
        [sys.executable, "-c", WALK, *arguments], capture_output=True, text=True, timeout=100, check=False
    )
    subprocess.run(["rm", "-r", "-f", tmp_path], timeout=100, check=True)
    assert done.stdout == "True\n" * 3, done.stderr[-1000:]


@pytest.mark.sampled(2)
@pytest.mark.anyio
@pytest.mark.parametrize("origin", ["many", "many/*/*.csv", "many/**"])
async def test_a_folder_comes_page_by_page_from_a_walk_that_goes_on_between(
    stores: LocalStores, root: Path, origin: str
) -> None:
    for number in range(3000):
        (root / "many" / f"{number // 500}").mkdir(parents=True, exist_ok=True)
        (root / "many" / f"{number // 500}" / f"{number}.csv").write_bytes(b"")
    pages = (await stores.find(origin)).pages
    first = await anext(pages)
    (root / "many/5/added.csv").write_bytes(b"")
    rest = [page async for page in pages]
    assert [len(page) for page in (first, *rest)] == [1000, 1000, 1000, 1]
    assert "5/added.csv" in [file.relative for page in rest for file in page]


@pytest.mark.anyio
@pytest.mark.parametrize("origin", ["many", "many/**/nothing"])
async def test_a_cancelled_walk_enters_no_more_folders(
    stores: LocalStores, root: Path, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(100):
        (root / "many" / str(number)).mkdir(parents=True)
    entered = 0
    scandir = os.scandir

    def cancelling(fd: int) -> Any:
        nonlocal entered
        entered += 1
        if entered == 10:
            anyio.from_thread.run_sync(scope.cancel)
        return scandir(fd)

    monkeypatch.setattr(os, "scandir", cancelling)
    with anyio.CancelScope() as scope:
        await files(await stores.find(origin))
    assert scope.cancelled_caught
    assert entered == 10
