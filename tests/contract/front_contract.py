"""What a browse tells of a package as a whole when it is asked: counts by extension, README.md and quilt_summarize.json."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ops_base import OpsContract, record

from quilt_mcp.domain.listing import Browse, Totals

README = "# Organoids\n\nConfocal stacks, " + "and more of them, " * 3


class FrontContract(OpsContract):
    async def front(self, **asked: Any) -> Browse:
        return await self.ops.browse(self.uri("a/b"), with_readme=True, **asked)

    # -- extensions --

    async def test_files_are_counted_by_extension_below_a_folder_and_everywhere(self) -> None:
        await self.create(
            "a/b",
            {
                "a.csv": "1", "d/b.csv": "22", "d/c.CSV": "333", "d/e/reads.fastq.gz": "4444", "d/x.gz": "5",
                "d/v1.2 final.gz": "6", ".hidden": "1", "Makefile": "1", "d.x/none": "1", "d/odd. ending": "",
                "d/" + "x." + "y" * 30: "",
            },
        )  # fmt: skip
        for _ in range(2):
            found = await self.ops.browse(self.uri("a/b"), with_extensions=True, limit=1, match="nothing")
            assert found.extensions is not None
            assert [*found.extensions.items()] == [
                ("", Totals(5, 3)), (".csv", Totals(2, 3)), (".gz", Totals(2, 2)), (".CSV", Totals(1, 3)),
                (".fastq.gz", Totals(1, 4)),
            ]  # fmt: skip
            below = await self.ops.browse(self.uri("a/b", path="d/e"), with_extensions=True)
            assert below.extensions == {".fastq.gz": Totals(1, 4)}
            one = await self.ops.browse(self.uri("a/b", path="a.csv"), with_extensions=True)
            assert one.extensions == {".csv": Totals(1, 1)}
        assert (await self.ops.browse(self.uri("a/b"))).extensions is None

    async def test_the_most_frequent_extensions_are_named_and_the_others_summed(self) -> None:
        await self.create("a/b", {f"{n}-{m}.t{n:02}": "1" for n in range(30) for m in range(1 + (n < 20))})
        found = (await self.ops.browse(self.uri("a/b"), with_extensions=True)).extensions
        assert found == {**{f".t{n:02}": Totals(2, 2) for n in range(20)}, "*": Totals(10, 10)}

    # -- README and summary --

    async def test_readme_and_summary_are_told_at_the_root_when_asked_for(self) -> None:
        summary = ["a.csv", {"path": "b.png", "width": 0.5}]
        await self.create(
            "a/b", {"README.md": README, "quilt_summarize.json": json.dumps(summary), "a.csv": "", "d/f": ""}
        )
        found = await self.front(limit=2)
        assert found.readme is not None
        assert (found.readme.text, found.readme.is_whole, found.readme.verified) == (README, True, True)
        assert found.readme.size == len(README)
        assert found.summary == summary
        assert found.page.warnings == ()
        for other in (
            await self.ops.browse(self.uri("a/b")),
            await self.ops.browse(self.uri("a/b", path="d"), with_readme=True),
            await self.front(limit=2, cursor=found.page.next_cursor),
        ):
            assert (other.readme, other.summary) == (None, None)

    async def test_of_a_package_without_them_nothing_is_told(self) -> None:
        await self.create("a/b", {"README.md/f": "a folder", "d/README.md": "not here"})
        found = await self.front()
        assert (found.readme, found.summary, found.page.warnings) == (None, None, ())

    @pytest.mark.parametrize(
        ("size", "verified"), [(0, True), (2049, True), (64 << 10, True), (70_000, False)]
    )
    async def test_a_long_readme_is_cut_within_no_character(self, size: int, verified: bool) -> None:
        text = ("x" + "é" * size)[:size]
        await self.create("a/b", {"README.md": text.encode()[:size]})
        readme = (await self.front()).readme
        assert readme is not None
        assert (readme.size, readme.is_whole, readme.verified) == (size, size <= 2048, verified)
        assert readme.text == ("x" + "é" * 1023 if size else "")

    @pytest.mark.parametrize(
        "content",
        ["{", "", "NaN", "[" * 3000 + "]" * 3000, json.dumps("x" * (64 << 10)), b"\xff\xfe"],
        ids=range(6),
    )
    async def test_a_summary_that_is_no_json_is_a_warning(self, content: str | bytes) -> None:
        await self.create("a/b", {"quilt_summarize.json": content, "f": "1"})
        found = await self.front()
        assert found.summary is None
        assert [warning.partition(":")[0] for warning in found.page.warnings] == ["not_shown"]
        assert len(found.page.items) == 2

    @pytest.mark.parametrize("damage", ["lost", "another", "elsewhere"])
    async def test_a_readme_that_cannot_be_read_is_a_warning_and_the_browse_stands(self, damage: str) -> None:
        await self.create("a/b", {"README.md": README, "f": "1"})
        item = await self.ops.stat(self.uri("a/b", path="README.md"))
        assert item.physical_key is not None
        if damage == "elsewhere":
            self.set_package("a/b", record(item, physical_keys=["ftp://nowhere/README.md"]))
        else:
            self.raw_change(item.physical_key, None if damage == "lost" else README.upper().encode())
        found = await self.front()
        assert found.readme is None
        (warning,) = found.page.warnings
        assert warning.startswith("not_shown: README.md cannot be read (")
        assert found.page.items
