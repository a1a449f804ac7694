"""What every Store must do. A store's test subclasses ``StoreContract`` and supplies ``store``, ``raw_set`` and ``raw_get``,
which reach the bytes without the store, so that no store grades its own work."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from quilt_mcp.errors import InvalidName, NotAFile, ObjectNotFound, PreconditionFailed
from quilt_mcp.storage.store import ObjectStat, Store

KEYS_IN_ORDER = (
    "a!x", "a-", "a-b/x", "a.b", "a/b", "a/b.c", "a/b0", "a/é", "a0", "a\u07ff", "a\ue000", "a\U0001f600", "b/c/d/e", "z",
)  # fmt: skip
"""In code-point order of whole keys, which is not the order of walking folders."""

MALFORMED_KEYS = (
    "", "/", "/abs", "a//b", "a/", "./a", "a/./b", "../a", "a/../b", "..", ".", "a\0b", "a/\0",
)  # fmt: skip


class StoreContract:
    """Each method is one promise of ``Store``."""

    store: Store

    def raw_set(self, key: str, content: bytes) -> None:
        raise NotImplementedError

    def raw_get(self, key: str) -> bytes | None:
        """None when there is no object."""
        raise NotImplementedError

    def comparable(self, stat: ObjectStat) -> object:
        """What writing, reading and listing must agree on: all of it, unless the server cannot tell it each time."""
        return stat

    async def keys(self, prefix: str = "", after: str = "") -> list[str]:
        return [found.key async for found in self.store.list(prefix, after=after)]

    # -- reading --

    @pytest.mark.anyio
    async def test_get_returns_the_bytes_and_their_stat(self) -> None:
        self.raw_set("a/b.txt", b"hello")
        stat, content = await self.store.get("a/b.txt")
        assert content == b"hello"
        assert stat == await self.store.stat("a/b.txt")
        assert (stat.key, stat.size) == ("a/b.txt", 5)
        assert stat.modified.utcoffset() is not None

    @pytest.mark.anyio
    @pytest.mark.parametrize(
        ("offset", "length", "expected"),
        [
            (0, 3, b"hel"),
            (2, 2, b"ll"),
            (3, None, b"lo"),
            (3, 99, b"lo"),
            (5, 1, b""),
            (9, None, b""),
            (1, 0, b""),
        ],
    )
    async def test_get_of_a_range_is_cut_at_the_end(
        self, offset: int, length: int | None, expected: bytes
    ) -> None:
        self.raw_set("k", b"hello")
        stat, content = await self.store.get("k", offset=offset, length=length)
        assert content == expected
        assert stat.size == 5
        chunks = [chunk async for chunk in self.store.stream("k", offset=offset, length=length)]
        assert b"".join(chunks) == expected

    @pytest.mark.anyio
    async def test_an_empty_object_is_an_object(self) -> None:
        await self.store.put("empty", b"")
        assert self.raw_get("empty") == b""
        assert (await self.store.get("empty"))[1] == b""
        assert [chunk async for chunk in self.store.stream("empty")] == []
        assert await self.keys() == ["empty"]

    @pytest.mark.anyio
    async def test_stream_yields_the_whole_object_in_order(self) -> None:
        content = bytes(range(256)) * 20_000
        self.raw_set("big", content)
        chunks = [chunk async for chunk in self.store.stream("big")]
        assert b"".join(chunks) == content
        assert len(chunks) > 1

    @pytest.mark.anyio
    async def test_reading_what_is_not_there_is_object_not_found_with_a_next_step(self) -> None:
        self.raw_set("a/b", b"x")
        for key in ("missing", "a/missing", "missing/a", "a/b/c"):
            with pytest.raises(ObjectNotFound) as caught:
                await self.store.stat(key)
            assert caught.value.next_step
            with pytest.raises(ObjectNotFound):
                await self.store.get(key)
            with pytest.raises(ObjectNotFound):
                async for _ in self.store.stream(key):
                    pass

    @pytest.mark.anyio
    async def test_a_folder_is_not_an_object(self) -> None:
        self.raw_set("folder/file", b"x")
        with pytest.raises((NotAFile, ObjectNotFound)):
            await self.store.stat("folder")

    @pytest.mark.anyio
    @pytest.mark.parametrize("key", MALFORMED_KEYS)
    async def test_a_malformed_key_is_refused_by_every_verb(self, key: str) -> None:
        for verb in (
            lambda: self.store.stat(key),
            lambda: self.store.get(key),
            lambda: self.store.put(key, b"x"),
            lambda: self.store.put(key, b"x", if_absent=True),
            lambda: self.store.delete(key),
        ):
            with pytest.raises(InvalidName) as caught:
                await verb()
            assert caught.value.next_step

    # -- listing --

    @pytest.mark.anyio
    async def test_list_is_in_code_point_order_of_whole_keys(self) -> None:
        for key in reversed(KEYS_IN_ORDER):
            self.raw_set(key, key.encode())
        assert sorted(KEYS_IN_ORDER) == list(KEYS_IN_ORDER)
        assert await self.keys() == list(KEYS_IN_ORDER)

    @pytest.mark.anyio
    async def test_list_begins_after_any_text_whether_or_not_it_is_a_key(self) -> None:
        for key in KEYS_IN_ORDER:
            self.raw_set(key, b"x")
        for after in (*KEYS_IN_ORDER, "a", "a/", "a/b/", "a-b", "b", "b/c/", "zz", "\U0010ffff"):
            assert await self.keys(after=after) == [key for key in KEYS_IN_ORDER if key > after], after

    @pytest.mark.anyio
    async def test_list_keeps_to_a_prefix_that_need_not_end_at_a_slash(self) -> None:
        for key in KEYS_IN_ORDER:
            self.raw_set(key, b"x")
        for prefix in ("a", "a/", "a/b", "a-", "b/c", "b/c/d/e", "nothing", "nothing/at/all"):
            for after in ("", "a/b", "b/c"):
                expected = [key for key in KEYS_IN_ORDER if key.startswith(prefix) and key > after]
                assert await self.keys(prefix, after) == expected, (prefix, after)

    @pytest.mark.anyio
    async def test_listings_and_stat_agree(self) -> None:
        self.raw_set("a/small", b"s")
        self.raw_set("a/large", b"l" * 200_000)
        expected = [self.comparable(await self.store.stat(key)) for key in ("a/large", "a/small")]
        assert [self.comparable(found) async for found in self.store.list("a/")] == expected
        assert [self.comparable(found) for found in (await self.store.list_folder("a/")).objects] == expected

    @pytest.mark.anyio
    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    async def test_list_folder_pages_through_one_level_in_order(self, limit: int) -> None:
        for key in ("a", "b/1", "b/2", "b-c", "c/d/e", "d"):
            self.raw_set(key, b"x")
        seen: list[str] = []
        after: str | None = ""
        while after is not None:
            page = await self.store.list_folder(after=after, limit=limit)
            names = sorted([found.key for found in page.objects] + list(page.folders))
            assert len(names) <= limit
            seen += names
            after = page.next_after
        assert seen == ["a", "b-c", "b/", "c/", "d"]

    @pytest.mark.anyio
    async def test_list_folder_begins_after_any_text(self) -> None:
        for key in ("p/a", "p/b/1", "p/b-", "p/c"):
            self.raw_set(key, b"x")
        page = await self.store.list_folder("p/", after="p/b")
        assert ([found.key for found in page.objects], page.folders) == (["p/b-", "p/c"], ("p/b/",))
        page = await self.store.list_folder("p/", after="p/b/")
        assert ([found.key for found in page.objects], page.folders) == (["p/c"], ())

    @pytest.mark.anyio
    async def test_a_missing_folder_is_an_empty_listing(self) -> None:
        page = await self.store.list_folder("no/such/")
        assert (page.objects, page.folders, page.next_after) == ((), (), None)
        assert await self.keys("no/such/") == []

    # -- writing --

    @pytest.mark.anyio
    async def test_put_writes_and_replaces(self) -> None:
        first = await self.store.put("x/y/z", b"one")
        assert self.raw_get("x/y/z") == b"one"
        second = await self.store.put("x/y/z", b"two")
        assert self.raw_get("x/y/z") == b"two"
        assert first.etag != second.etag
        assert self.comparable(second) == self.comparable(await self.store.stat("x/y/z"))

    @pytest.mark.anyio
    async def test_put_takes_the_bytes_of_a_temporary_file(self, tmp_path: Path) -> None:
        source = tmp_path / "body"
        source.write_bytes(b"b" * 300_000)
        stat = await self.store.put("from/file", source)
        assert stat.size == 300_000
        assert self.raw_get("from/file") == b"b" * 300_000

    @pytest.mark.anyio
    async def test_the_etag_changes_with_the_bytes_even_when_size_and_second_do_not(self) -> None:
        seen: set[str] = set()
        for number in range(50):
            seen.add((await self.store.put("pointer", b"%064d" % number)).etag)
        assert len(seen) == 50

    @pytest.mark.anyio
    async def test_if_absent_lets_the_first_writer_win(self) -> None:
        await self.store.put("k", b"first", if_absent=True)
        with pytest.raises(PreconditionFailed):
            await self.store.put("k", b"second", if_absent=True)
        assert self.raw_get("k") == b"first"

    @pytest.mark.anyio
    async def test_if_match_writes_only_on_what_was_read(self) -> None:
        first = await self.store.put("k", b"1")
        second = await self.store.put("k", b"2", if_match=first.etag)
        with pytest.raises(PreconditionFailed):
            await self.store.put("k", b"3", if_match=first.etag)
        assert self.raw_get("k") == b"2"
        await self.store.put("k", b"4", if_match=second.etag)
        assert self.raw_get("k") == b"4"

    @pytest.mark.anyio
    async def test_if_match_on_nothing_writes_nothing(self) -> None:
        with pytest.raises(PreconditionFailed):
            await self.store.put("k", b"3", if_match="0123456789abcdef")
        assert self.raw_get("k") is None

    @pytest.mark.anyio
    async def test_of_many_create_only_writers_exactly_one_wins(self) -> None:
        won: list[bytes] = []

        async def write(content: bytes) -> None:
            try:
                await self.store.put("race", content, if_absent=True)
            except PreconditionFailed:
                return
            won.append(content)

        async with anyio.create_task_group() as group:
            for number in range(12):
                group.start_soon(write, b"writer %d" % number)
        assert [self.raw_get("race")] == won

    @pytest.mark.anyio
    async def test_increments_by_compare_and_swap_lose_none(self) -> None:
        await self.store.put("counter", b"0")

        async def increment() -> None:
            while True:
                stat, content = await self.store.get("counter")
                try:
                    await self.store.put("counter", b"%d" % (int(content) + 1), if_match=stat.etag)
                except PreconditionFailed:
                    continue
                return

        async with anyio.create_task_group() as group:
            for _ in range(12):
                group.start_soon(increment)
        assert self.raw_get("counter") == b"12"

    @pytest.mark.anyio
    async def test_delete_removes_one_object_and_is_idempotent(self) -> None:
        for key in ("p/a", "p/ab", "p/a.b", "q/r/s"):
            self.raw_set(key, b"x")
        await self.store.delete("p/a")
        await self.store.delete("p/a")
        await self.store.delete("never/was")
        await self.store.delete("q/r/s")
        assert await self.keys() == ["p/a.b", "p/ab"]
        assert self.raw_get("p/ab") == b"x"
        assert "q/" not in (await self.store.list_folder()).folders

    @pytest.mark.anyio
    async def test_delete_if_match_spares_what_has_changed(self) -> None:
        first = await self.store.put("k", b"1")
        second = await self.store.put("k", b"2")
        with pytest.raises(PreconditionFailed):
            await self.store.delete("k", if_match=first.etag)
        assert self.raw_get("k") == b"2"
        await self.store.delete("k", if_match=second.etag)
        assert self.raw_get("k") is None

    @pytest.mark.anyio
    async def test_writers_and_deleters_of_one_folder_do_not_disturb_each_other(self) -> None:
        async def churn(number: int) -> None:
            for _ in range(8):
                await self.store.put(f"deep/er/{number}", b"x")
                await self.store.delete(f"deep/er/{number}")
            await self.store.put(f"deep/er/{number}", b"last")

        async with anyio.create_task_group() as group:
            for number in range(6):
                group.start_soon(churn, number)
        assert await self.keys("deep/") == [f"deep/er/{number}" for number in range(6)]

    @pytest.mark.anyio
    async def test_physical_key_leads_to_the_object(self) -> None:
        stat = await self.store.put("a b/é#?.txt", b"x")
        assert str(self.store.physical_key(stat.key)).startswith(self.store.url + "/")


class TakesFilesContract(StoreContract):
    """For stores of local files that take files in."""

    store: Store

    @pytest.mark.anyio
    @pytest.mark.parametrize("size", [0, 1, 100_000, (8 << 20) + 1])
    async def test_take_file_stores_by_content_once(self, tmp_path: Path, size: int) -> None:
        store = self.store
        assert store.intake is not None
        source = tmp_path / "source"
        source.write_bytes(b"c" * size)
        stats: list[ObjectStat] = []
        with source.open("rb") as file:
            for created in (True, False):
                taken = await store.intake.take_file(
                    file.fileno(), "sha2-256-chunked", lambda h: "objects/" + h.value.replace("/", "_")
                )
                assert taken.created is created
                assert taken.hash.type == "sha2-256-chunked"
                stats.append(taken.stat)
        assert stats[0] == stats[1]
        assert self.raw_get(stats[0].key) == b"c" * size
        assert await self.keys() == [stats[0].key]

    @pytest.mark.anyio
    @pytest.mark.parametrize("size", [1, 100_000, (8 << 20) + 1])
    async def test_take_file_replaces_what_is_not_the_content_that_its_key_names(
        self, tmp_path: Path, size: int
    ) -> None:
        store = self.store
        assert store.intake is not None
        source = tmp_path / "source"
        source.write_bytes(b"c" * size)
        for damaged in (b"", b"c" * (size + 1), b"d" + b"c" * (size - 1)):
            self.raw_set("object", damaged)
            with source.open("rb") as file:
                taken = await store.intake.take_file(file.fileno(), "sha2-256-chunked", lambda _: "object")
            assert (taken.created, taken.stat.size) == (True, size)
            assert self.raw_get("object") == b"c" * size
            assert await self.keys() == ["object"]

    @pytest.mark.anyio
    async def test_what_was_taken_in_does_not_change_with_its_source(self, tmp_path: Path) -> None:
        store = self.store
        assert store.intake is not None
        source = tmp_path / "source"
        source.write_bytes(b"before")
        with source.open("r+b") as file:
            await store.intake.take_file(file.fileno(), "SHA256", lambda h: h.value)
            file.write(b"after!")
            file.flush()
            (key,) = await self.keys()
        assert self.raw_get(key) == b"before"

    @pytest.mark.anyio
    async def test_open_file_gives_a_read_only_descriptor(self) -> None:
        store = self.store
        assert store.local_files is not None
        self.raw_set("a/b", b"bytes")
        with open(store.local_files.open_file("a/b"), "rb") as file:
            assert file.read() == b"bytes"
            assert not file.writable()
        with pytest.raises(ObjectNotFound):
            store.local_files.open_file("a/c")
        with pytest.raises(NotAFile):
            store.local_files.open_file("a")
