"""C21: no path, link or name makes local storage read or write outside its folder; all it answers is typed errors."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quilt_mcp.domain.address import PhysicalKey
from quilt_mcp.errors import (
    AlreadyExists,
    InvalidName,
    NotAFile,
    OutsideRoots,
    PreconditionFailed,
    QuiltError,
    SourceNotFound,
)
from quilt_mcp.storage.local.folder import LocalFolder
from quilt_mcp.storage.local.store import LocalStore
from quilt_mcp.storage.local.stores import LocalStores
from quilt_mcp.storage.local.syscalls import Syscalls

CANARY = b"canary of the outside"

WRITTEN_OUT = (
    "../x", "..", "a/../../x", "a/..", "./x", ".", "a/./b", "/x", "//x", "/etc/passwd", "a//b", "", "/", "a/",
    "x\0", "\0", "a/x\0/../../b",
)  # fmt: skip
"""Refused as names, whatever is on the disk."""

ODD_BUT_PLAIN = (
    "..\\..\\x", "C:\\x", "C:/x", "C:x", "\\\\server\\share\\x", "\\\\?\\C:\\x", "//server/share"[2:], "a\\..\\b",
    "%2e%2e%2fx", "..%2fx", "%2e%2e/x", "%00", "a%00b", "..%c0%afx", "\u2024\u2024/x", "\uff0e\uff0e/x", "\u2025/x",
    "a\u2215..\u2215b", "a\uff0fb", "\u202e/x", "...", ".../x", "....//"[:4], "~", "~root/x", "~/x", "$HOME/x",
    "-rf", "--", "*", "?", "[a]", "a b", " a", "a ", "a\tb", "a\nb", "a\rb", "\x1b[31m", "\x7f", "CON", "nul.txt",
    "a:b", "a::$DATA", "Case", "case", "CASE", "ß", "SS", "\u00e9", "e\u0301", "\u212b", "\U0001f600", "\ufeffx",
    "a.", "a..", "n" * 255, "/".join("abcdefghij" * 10), ".hidden", ".quilt/packages/x", ".quiltignore", ".git/hooks/x",
    "\udcff\udcfe", "caf\udce9", "a/\udc80/b",
)  # fmt: skip
"""Ordinary names to this file system, however odd: each makes one file below the root, spelled exactly so."""

BEYOND_NAMES = (
    "n" * 256,
    "a/" + "n" * 256 + "/b",
    "é" * 128,
    "\ud800",
    "a/\udfff",
    ".quilt/tmp/x",
    ".quilt/locks/x",
)

TRAPS = (
    "to_file", "to_folder", "to_folder/secret", "to_folder/new", "to_nothing", "to_nothing/x", "to_loop", "to_loop/x",
    "to_inside", "to_parent/outside/secret", "folder/to_folder/secret", "to_absolute_folder/new",
)  # fmt: skip
"""Symbolic links, and paths through them."""

SPECIAL = ("pipe", "socket")


class Unsynced(Syscalls):
    def fsync(self, fd: int) -> None:
        """Paths are tried here, not power cuts, and a disk is slow."""


UNSYNCED = Unsynced()


class World:
    """A root full of traps, and an outside that must stay as it is."""

    def __init__(self, base: Path) -> None:
        self.outside = base / "outside"
        self.outside.mkdir()
        (self.outside / "secret").write_bytes(CANARY)
        self.root = base / "root"
        (self.root / "folder").mkdir(parents=True)
        (self.root / "folder" / "file").write_bytes(b"inside")
        links = {
            "to_file": "../outside/secret",
            "to_folder": "../outside",
            "to_absolute_folder": str(self.outside),
            "to_nothing": "../outside/nothing",
            "to_loop": "to_loop",
            "to_inside": "folder/file",
            "to_parent": "..",
            "folder/to_folder": "../../outside",
        }
        for name, target in links.items():
            (self.root / name).symlink_to(target)
        os.link(self.outside / "secret", self.root / "hard")
        os.mkfifo(self.root / "pipe")
        here = os.open(self.root, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as listening:
            # By descriptor: the path of a socket may have 108 bytes at most.
            listening.bind(
                f"/proc/self/fd/{here}/socket" if sys.platform == "linux" else str(self.root / "socket")
            )
        os.close(here)
        self._before = self._picture()

    def _picture(self) -> list[tuple[str, bytes, int]]:
        return [
            (str(path), path.read_bytes() if path.is_file() else b"", path.lstat().st_mtime_ns)
            for path in (self.outside, *sorted(self.outside.rglob("*")))
        ]

    def check(self) -> None:
        """Nothing outside has changed, and nothing but our folders stands beside."""
        assert self._picture() == self._before
        assert sorted(path.name for path in self.root.parent.iterdir()) == ["outside", "root"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    base = tmp_path / "w"
    base.mkdir()
    found = World(base)
    yield found
    found.check()


async def attempt_all(store: LocalStore, key: str) -> list[QuiltError]:
    """Every verb on one key; what they refused. Anything but a QuiltError gets out and fails the test."""
    refused: list[QuiltError] = []

    async def listing() -> None:
        _ = [found async for found in store.list(key)]

    async def streaming() -> None:
        async for _ in store.stream(key):
            pass

    async def opening() -> None:
        os.close(store.open_file(key))

    for verb in (
        lambda: store.put(key, b"1", if_absent=True),
        lambda: store.put(key, b"2"),
        lambda: store.put(key, b"3", if_match="0"),
        lambda: store.stat(key),
        lambda: store.get(key),
        streaming,
        opening,
        listing,
        lambda: store.list_folder(key),
        lambda: store.list_folder(key + "/"),
        lambda: store.delete(key, if_match="0"),
        lambda: store.delete(key),
    ):
        try:
            await verb()
        except QuiltError as error:
            assert error.next_step
            assert "\0" not in error.message
            refused.append(error)
    return refused


def below(root: Path) -> set[str]:
    return {
        os.path.join(folder, name)[len(str(root)) + 1 :]
        for folder, _, names in os.walk(root)
        for name in names
    }


@pytest.mark.anyio
@pytest.mark.parametrize("key", WRITTEN_OUT, ids=ascii)
async def test_a_name_that_leads_out_is_refused_by_every_verb_of_the_store(world: World, key: str) -> None:
    before = below(world.root)
    store = LocalStore(world.root, kernel=UNSYNCED)
    for verb in (store.put(key, b"x"), store.get(key), store.stat(key), store.delete(key)):
        with pytest.raises(InvalidName):
            await verb
    await attempt_all(store, key)
    assert below(world.root) == before


@pytest.mark.sampled(17)
@pytest.mark.anyio
@pytest.mark.parametrize("key", ODD_BUT_PLAIN, ids=ascii)
async def test_an_odd_name_is_one_file_below_the_root_spelled_exactly_so(world: World, key: str) -> None:
    before = below(world.root)
    store = LocalStore(world.root, kernel=UNSYNCED)
    await store.put(key, b"x", if_absent=True)
    with pytest.raises(PreconditionFailed):
        await store.put(key, b"y", if_absent=True)
    assert (await store.get(key))[1] == b"x"
    assert below(world.root) - before == {key}
    assert key in [found.key async for found in store.list()]
    real = os.path.realpath(os.path.join(os.fsencode(world.root), os.fsencode(key)))
    assert real.startswith(os.fsencode(world.root) + b"/")
    await store.delete(key)
    await attempt_all(store, key)


@pytest.mark.anyio
@pytest.mark.parametrize("key", BEYOND_NAMES, ids=lambda key: ascii(key)[:20])
async def test_a_name_no_file_may_have_is_an_invalid_name(world: World, key: str) -> None:
    with pytest.raises(InvalidName):
        await LocalStore(world.root, kernel=UNSYNCED).put(key, b"x")
    await attempt_all(LocalStore(world.root, kernel=UNSYNCED), key)


@pytest.mark.anyio
@pytest.mark.parametrize("key", TRAPS)
async def test_a_symbolic_link_is_refused_as_outside_the_roots_and_named(world: World, key: str) -> None:
    store = LocalStore(world.root, kernel=UNSYNCED)
    for verb in (store.get(key), store.stat(key), store.put(key, b"x"), store.put(key, b"x", if_absent=True)):
        with pytest.raises(OutsideRoots) as caught:
            await verb
        link = caught.value.details["link"].strip("'")
        assert (world.root / link).is_symlink()
        assert key.startswith(link)
    await attempt_all(store, key)
    assert (
        (world.root / key.partition("/")[0]).exists(follow_symlinks=False)
        if sys.version_info >= (3, 12)
        else True
    )


@pytest.mark.anyio
async def test_listings_pass_over_links_and_special_files(world: World) -> None:
    store = LocalStore(world.root, kernel=UNSYNCED)
    assert [found.key async for found in store.list()] == ["folder/file", "hard"]
    page = await store.list_folder()
    assert ([found.key for found in page.objects], page.folders) == (["hard"], ("folder/",))


@pytest.mark.anyio
@pytest.mark.parametrize("key", SPECIAL)
async def test_a_pipe_or_socket_is_not_a_file_and_nobody_waits_for_it(world: World, key: str) -> None:
    store = LocalStore(world.root, kernel=UNSYNCED)
    with anyio.fail_after(20):
        for verb in (
            store.get(key),
            store.stat(key),
            store.put(key, b"x"),
            store.put(key, b"x", if_absent=True),
        ):
            with pytest.raises(NotAFile):
                await verb
        await attempt_all(store, key)
        await attempt_all(store, key + "/below")
    assert (world.root / key).exists()


@pytest.mark.anyio
async def test_writing_over_a_hard_link_does_not_touch_the_other_name(world: World) -> None:
    store = LocalStore(world.root, kernel=UNSYNCED)
    assert (await store.get("hard"))[1] == CANARY
    await store.put("hard", b"new")
    folder = LocalFolder(world.root, kernel=UNSYNCED)
    folder.write_file("hard", b"newer", replace=True)
    assert (world.root / "hard").read_bytes() == b"newer"
    assert (world.outside / "secret").read_bytes() == CANARY


PIECES = st.sampled_from(
    ["..", ".", "", "/", "a", "folder", "to_folder", "to_file", "to_parent", "outside", "secret", "\\", "\0", "%2e", "~",
     "\u2024", "\udcff", "\ud800", "pipe", "hard", ".quilt", "tmp", "n" * 300, "C:"]
)  # fmt: skip
PATHS = (
    st.lists(PIECES, max_size=6).map("/".join)
    | st.text(max_size=20)
    | st.lists(PIECES, max_size=5).map("".join)
)


@given(paths=st.lists(PATHS, min_size=1, max_size=5))
def test_no_generated_path_leads_out(tmp_path_factory: pytest.TempPathFactory, paths: list[str]) -> None:
    world = World(tmp_path_factory.mktemp("w"))
    stores = LocalStores([world.root], create=False, working_folder=world.root)

    async def attempt() -> None:
        store = LocalStore(world.root, kernel=UNSYNCED)
        for path in paths:
            await attempt_all(store, path)
            attempt_folder(world, path)
            for act in (
                lambda path=path: stores.locate(PhysicalKey(None, f"{world.root}/{path}")),
                lambda path=path: stores.locate(PhysicalKey(None, path)),
                lambda path=path: stores.locate(
                    PhysicalKey.parse(f"file://{world.root}/{quote(path, errors='surrogatepass')}")
                ),
                lambda path=path: stores.locate_folder(PhysicalKey(None, f"{world.root}/{path}")),
                lambda path=path: stores.registry(path),
                lambda path=path: stores.folder(path),
            ):
                refusing(act)
            try:
                await stores.find(path)
            except QuiltError as error:
                assert error.next_step

    anyio.run(attempt)
    world.check()


def refusing(act: Callable[[], object]) -> QuiltError | None:
    try:
        act()
    except QuiltError as error:
        assert error.next_step
        return error
    return None


def attempt_folder(world: World, path: str) -> list[QuiltError]:
    folder = LocalFolder(world.root, kernel=UNSYNCED)
    refused = [
        refusing(lambda: folder.write_file(path, b"x")),
        refusing(lambda: folder.write_file(path, b"x", replace=True)),
        refusing(lambda: os.close(folder.open_file(path))),
        refusing(lambda: folder.stat(path)),
        refusing(lambda: folder.is_folder(path)),
        refusing(lambda: list(folder.scan(path))),
        refusing(lambda: list(folder.glob(path))),
        refusing(lambda: folder.names(path)),
    ]
    return [error for error in refused if error is not None]


@pytest.mark.sampled(52)
@pytest.mark.parametrize(
    "path", (*WRITTEN_OUT, *ODD_BUT_PLAIN, *BEYOND_NAMES, *TRAPS, *SPECIAL), ids=lambda path: ascii(path)[:24]
)
def test_a_folder_to_install_into_is_never_left(world: World, path: str) -> None:
    attempt_folder(world, path)
    if path in ODD_BUT_PLAIN:
        assert (world.root / path).read_bytes() == b"x"
    if path in WRITTEN_OUT:
        with pytest.raises(InvalidName):
            LocalFolder(world.root, kernel=UNSYNCED).write_file(path, b"x", replace=True)
    if path in TRAPS:
        with pytest.raises(OutsideRoots):
            LocalFolder(world.root, kernel=UNSYNCED).write_file(path, b"x", replace=True)
    if path in SPECIAL:
        with pytest.raises(NotAFile):
            LocalFolder(world.root, kernel=UNSYNCED).write_file(path, b"x", replace=True)


def test_of_two_names_that_the_file_system_holds_for_one_the_second_is_refused(world: World) -> None:
    """On a folding file system 'A' is 'a'; on others both are made. Neither is ever silently replaced."""
    folder = LocalFolder(world.root, kernel=UNSYNCED)
    folder.write_file("Name", b"1")
    try:
        folder.write_file("name", b"2")
    except AlreadyExists:
        assert (world.root / "Name").read_bytes() == b"1"
    else:
        assert ((world.root / "Name").read_bytes(), (world.root / "name").read_bytes()) == (b"1", b"2")


class Swapping(Unsynced):
    """Ahead of the n-th call, puts a link to the outside in the stead of a folder on the way."""

    def __init__(self, root: Path, outside: Path, at: int) -> None:
        self._root, self._outside, self._left = root, outside, at

    def tick(self) -> None:
        self._left -= 1
        if self._left == 0:
            (self._root / "way").rename(self._root / "moved")
            (self._root / "way").symlink_to(self._outside)

    @property
    def is_done(self) -> bool:
        return self._left <= 0


def _ticking(name: str) -> Callable[..., object]:
    plain = getattr(Unsynced, name)

    def call(self: Swapping, *args: object, **kwargs: object) -> object:
        self.tick()
        return plain(self, *args, **kwargs)

    return call


for _name in ("open", "mkdir", "rmdir", "link", "rename", "unlink", "write", "fsync"):
    setattr(Swapping, _name, _ticking(_name))


def test_a_folder_that_becomes_a_link_in_mid_write_does_not_lead_out(tmp_path: Path) -> None:
    at, was_reached = 0, True
    refusals: set[str] = set()
    while was_reached:
        at += 1
        base = tmp_path / str(at)
        base.mkdir()
        world = World(base)
        (world.root / "way" / "deep").mkdir(parents=True)
        kernel = Swapping(world.root, world.outside, at)
        store = LocalStore(world.root, kernel=kernel)
        folder = LocalFolder(world.root, kernel=kernel)
        for act in (
            lambda store=store: anyio.run(store.put, "way/deep/a", b"x"),
            lambda folder=folder: folder.write_file("way/b", b"x"),
            lambda folder=folder: folder.write_file("way/new/c", b"x"),
            lambda store=store: anyio.run(store.delete, "way/deep/a"),
            lambda store=store: anyio.run(store.delete, "way/secret"),
        ):
            error = refusing(act)
            if error is not None:
                refusals.add(error.code)
        was_reached = kernel.is_done
        world.check()
    assert at > 40
    assert "outside_roots" in refusals


def test_sources_follow_a_link_to_a_file_only_inside_the_roots(world: World) -> None:
    folder = LocalFolder(world.root, kernel=UNSYNCED)
    assert folder.stat("to_inside").physical_key.path == str(world.root / "folder/file")
    with open(folder.open_file("to_inside"), "rb") as file:
        assert file.read() == b"inside"
    for name in ("to_file", "to_folder/secret", "to_parent/outside/secret"):
        with pytest.raises(OutsideRoots) as caught:
            folder.open_file(name)
        assert f"--root {world.outside}" in caught.value.next_step
    with_outside = LocalFolder(world.root, roots=[world.outside])
    assert with_outside.stat("to_file").physical_key.path == str(world.outside / "secret")
    with pytest.raises(SourceNotFound):
        with_outside.open_file("to_nothing")


def test_a_scan_refuses_a_link_that_leads_out_and_does_not_enter_linked_folders(world: World) -> None:
    faults = {
        file.relative: file.fault
        for file in LocalFolder(world.root, kernel=UNSYNCED).scan()
        if file.fault is not None
    }
    assert [*faults] == ["to_file"] and isinstance(faults["to_file"], OutsideRoots)
    assert "to_file" in faults["to_file"].message
    found = LocalFolder(world.root, roots=[world.outside]).scan()
    assert [(file.relative, Path(file.physical_key.path).name) for file in found] == [
        ("folder/file", "file"), ("hard", "hard"), ("to_file", "secret"), ("to_inside", "file"),
    ]  # fmt: skip


def test_a_physical_key_outside_the_roots_is_refused_naming_the_folder_and_the_flag(world: World) -> None:
    stores = LocalStores([world.root])
    for path in (world.outside / "secret", world.root / "to_file", world.root / "to_folder" / "secret"):
        with pytest.raises(OutsideRoots) as caught:
            stores.locate(PhysicalKey(None, str(path)))
        assert f"--root {world.outside}" in caught.value.next_step
    store, key = stores.locate(PhysicalKey(None, str(world.root / "to_inside")))
    assert (store.url, key) == (world.root.as_uri(), "folder/file")
    wider = LocalStores([world.root], [world.outside])
    store, key = wider.locate(PhysicalKey(None, str(world.root / "to_file")))
    assert (store.url, key) == (world.outside.as_uri(), "secret")
