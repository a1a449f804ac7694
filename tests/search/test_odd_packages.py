"""Packages whose names, metadata and sizes are odd are found all the same, and none keeps the others from it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import quilt3
from held_registry import HeldRegistry, ask, held_folder, local_ops, named, one_package

from parts.manifests import true_hash
from quilt_mcp.registry.reading import cataloguing

pytestmark = pytest.mark.anyio


@pytest.fixture
def registry(tmp_path: Path) -> HeldRegistry:
    found = held_folder(tmp_path)
    found.push(one_package("lab/plain", "plain"), one_package("lab/other", "plain", readme="about it"))
    return found


def entry(path: str, size: int = 3, meta: Any = None, key: str = "file:///nowhere") -> dict[str, Any]:
    return {
        "logical_key": path, "physical_keys": [key], "size": size,
        "hash": {"type": "SHA256", "value": hashlib.sha256(path.encode("utf-8", "replace")).hexdigest()},
        "meta": meta or {},
    }  # fmt: skip


def write(registry: Path, name: str, entries: list[dict[str, Any]], **header: Any) -> None:
    """As any writer of manifests may."""
    ordered = sorted(entries, key=lambda one: one["logical_key"].split("/"))
    body = b"".join(json.dumps(one).encode() + b"\n" for one in [{"version": "v0", **header}, *ordered])
    top_hash = true_hash(body)
    (registry / ".quilt/packages").mkdir(parents=True, exist_ok=True)
    (registry / ".quilt/packages" / top_hash).write_bytes(body)
    pointers = registry / ".quilt/named_packages" / name
    pointers.mkdir(parents=True, exist_ok=True)
    for tag in ("latest", "1700000000"):
        (pointers / tag).write_text(top_hash)


async def others_are_found(ops: Any) -> None:
    assert named((await ask(ops, "message:plain")).items) == {"lab/plain", "lab/other"}


PATHS = (
    "new\nline.csv", "quote'\"`.csv", "🧬/emoji 🧬.csv", "tab\t.csv", "back\\slash.csv", "%2e%2e.csv",
    "x" * 1_000 + ".csv", "{brace}[0].csv", "лаб/Σίσυφος.csv", "İstanbul.csv", "\x1e.csv", "a--b;DROP TABLE.csv", "\u202egnp.csv",
)  # fmt: skip


async def test_paths_of_any_letters_are_found_and_told_as_they_are(
    registry: HeldRegistry, tmp_path: Path
) -> None:
    write(tmp_path / "registry", "lab/odd", [entry(path, 7) for path in PATHS], message="odd")
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    found = await ask(ops, "name:lab/odd", "entries", sort="path")
    assert found.total == len(PATHS), found.warnings
    assert found.warnings == ()
    cursor, seen = None, 0
    from quilt_mcp.domain.search.request import SearchRequest

    while True:
        page = await ops.search.search(
            SearchRequest("size:7", "entries", sort="path"), limit=3, cursor=cursor
        )
        seen += len(page.items)
        if (cursor := page.next_cursor) is None:
            break
    assert seen == len(PATHS)
    for text in ("path:*emoji*", "path:/slash/", "Σίσυφος", "path:*quote*", "path:x*"):
        assert (await ask(ops, text, "entries")).total == 1, text
    await others_are_found(ops)


@pytest.mark.parametrize("sizes", [(2**63 - 1,), (2**62, 2**62 - 1), (2**53, 2**53 + 1)], ids=str)
async def test_sizes_of_exabytes_add_up_to_something(
    registry: HeldRegistry, tmp_path: Path, sizes: tuple[int, ...]
) -> None:
    write(
        tmp_path / "registry",
        "lab/huge",
        [entry(f"f{n}", size) for n, size in enumerate(sizes)],
        message="huge",
    )
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    found = await ask(ops, "lab/huge")
    assert named(found.items) == {"lab/huge"}, found.warnings
    files = await ask(ops, f"size:>={2**53}", "entries", sort="-size", facets=("size",))
    assert [one.size for one in files.items] == sorted(sizes, reverse=True)
    assert named((await ask(ops, "size:>1TB", facets=("*",))).items) == {"lab/huge"}
    await others_are_found(ops)


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    "sizes", [(2**63,), (2**64,), (10**30,), (2**63 - 1, 1), (2**62, 2**62, 2**62)], ids=str
)
async def test_sizes_beyond_what_a_file_can_have_spoil_nothing(
    registry: HeldRegistry, tmp_path: Path, sizes: tuple[int, ...]
) -> None:
    write(
        tmp_path / "registry",
        "lab/huge",
        [entry(f"f{n}", size) for n, size in enumerate(sizes)],
        message="huge",
    )
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    found = await ask(ops, "lab/huge")
    assert found.total == 1 or any("unread: lab/huge" in said for said in found.warnings)
    await others_are_found(ops)


METADATA: dict[str, Any] = {
    "megabyte": {"note": "needle " + "straw " * 180_000},
    "many fields": {f"field{n}": n for n in range(20_000)},
    "deep": json.loads('{"a":' * 80 + "1" + "}" * 80),
    "not a number": {"x": float("nan"), "y": float("inf"), "z": -float("inf"), "word": "needle"},
    "huge numbers": {"x": 10**400, "y": 2**64, "z": 1e308, "word": "needle"},
    "half a letter": {"\ud800": "\udfff needle", "x": ["\ud83d"]},
    "nul": {"a\0b": "needle\0\0", "": "", "/": {"~": {"~1": "x"}}},
    "times": {"when": "2026-13-45", "then": "9999-12-31T23:59:59+14:00", "early": "0001-01-01T00:00:00+14:00", "n": "needle"},
    "lists": {"many": list(range(6_000)), "nested": [[[["needle"]]]], "mixed": [1, "a", None, True, {"b": []}]},
    "quotes": {"it's": "'; DROP TABLE heads; -- needle", '"': '"'},
    "dots": {"a.b": {"c d": "needle"}, " ": "x", "*": "y"},
    "alike": {"A": "needle", "a": "x", "Ä": 1, "ä": 2},
    "separators": {"x": "a\x1eb\x1ec needle\u2028\u2029\x85"},
}  # fmt: skip


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", METADATA)
@pytest.mark.parametrize("of", ["package", "file"])
async def test_metadata_of_any_kind_is_searched_or_its_package_is_named(
    registry: HeldRegistry, tmp_path: Path, kind: str, of: str
) -> None:
    meta = METADATA[kind]
    if of == "package":
        write(tmp_path / "registry", "lab/odd", [entry("f.csv")], message="odd", user_meta=meta)
    else:
        write(tmp_path / "registry", "lab/odd", [entry("f.csv", 3, {"user_meta": meta})], message="odd")
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    found = await ask(ops, "name:lab/odd", facets=("*",))
    if any("unread: lab/odd" in said for said in found.warnings):
        assert kind in UNREADABLE, found.warnings
    else:
        assert found.total == 1, found.warnings
        has_needle = "needle" in json.dumps(meta)
        assert (await ask(ops, "needle", facets=("*",))).total == has_needle
        field = "meta" if of == "package" else "file_meta"
        assert (await ask(ops, f"{field}:needle")).total == has_needle
        for test in ("/x:>1", "/when:>2020-01-01", "/x:needle"):
            await ask(ops, f"meta.{test} OR file_meta.{test} OR _exists_:meta./x")
        for sort in ("/x", "-/when", "/a", "-size"):
            await ask(ops, sort=sort)
        assert (await ask(ops, "name:lab/odd", "entries")).total == 1
    await others_are_found(ops)


UNREADABLE: set[str] = set()
"""What the readers of manifests refuse."""


async def test_a_readme_may_be_binary_huge_gone_or_a_lie(registry: HeldRegistry, tmp_path: Path) -> None:
    texts = {
        "binary": bytes(range(256)) * 8,
        "huge": b"needle " + b"straw " * 300_000,
        "empty": b"",
        "nul": b"needle\0\xff",
    }
    for name, text in texts.items():
        source = tmp_path / name
        source.write_bytes(text)
        package = quilt3.Package()
        package.set("README.md", str(source))
        package.build(f"lab/{name}", registry=registry.url, message="read")
    for name, key in (
        ("gone", "file:///nowhere/at/all"), ("bucket", "s3://no-bucket-of-ours/README.md?versionId=x"),
        ("odd", "gopher://x/y"), ("none", ""),
    ):  # fmt: skip
        write(tmp_path / "registry", f"lab/{name}", [entry("README.md", key=key)], message="read")
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    found = await ask(ops, "message:read")
    left = {name for name in ("odd", "none") if any(f"unread: lab/{name}" in said for said in found.warnings)}
    assert named(found.items) == {
        f"lab/{name}" for name in (*texts, "gone", "bucket", *({"odd", "none"} - left))
    }
    assert named((await ask(ops, "readme:needle")).items) == {"lab/huge", "lab/nul"}
    await others_are_found(ops)


async def test_names_that_differ_in_case_only_are_two_packages(
    registry: HeldRegistry, tmp_path: Path
) -> None:
    for name in ("Lab/Case", "lab/case", "LAB/case"):
        write(tmp_path / "registry", name, [entry("f.csv"), entry("F.csv")], message="cased")
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    assert named((await ask(ops, "cased", sort="name")).items) == {"Lab/Case", "lab/case", "LAB/case"}
    assert (await ask(ops, "name:lab/case", "entries")).total == 6
    await others_are_found(ops)


async def test_names_that_quilt_would_not_take_spoil_nothing(registry: HeldRegistry, tmp_path: Path) -> None:
    for name in ("lab/sp ace", "lab/ü", "lab/a\nb", "lab/'q'", "lab/" + "x" * 200, "lab/🧬"):
        write(tmp_path / "registry", name, [entry("f.csv")], message="named")
    await others_are_found(local_ops(tmp_path / "registry", tmp_path / "cache"))


async def test_manifests_that_cannot_be_read_are_named_and_the_rest_is_answered(
    registry: HeldRegistry, tmp_path: Path
) -> None:
    root = tmp_path / "registry"
    for number in range(5):
        write(root, f"lab/bad{number}", [entry(f"f{number}.csv")], message="bad")
    hashes = [(root / f".quilt/named_packages/lab/bad{number}/latest").read_text() for number in range(5)]
    manifests = [root / ".quilt/packages" / one for one in hashes]
    manifests[0].unlink()
    manifests[1].write_bytes(manifests[2].read_bytes())  # another's: a lie
    manifests[2].write_bytes(manifests[2].read_bytes()[:-20])
    manifests[3].write_bytes(b"")
    (root / ".quilt/named_packages/lab/bad4/latest").write_text("no hash")
    ops = local_ops(root, tmp_path / "cache")
    found = await ask(ops)
    assert named(found.items) == {"lab/plain", "lab/other"}
    [said] = [one for one in found.warnings if one.startswith("unread:")]
    assert "lab/bad0 (revision_not_found)" in said or "lab/bad0" in said
    assert "and " in said and "more" in said
    await others_are_found(ops)


async def test_many_packages_without_anything_are_found(
    registry: HeldRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cataloguing, "BATCH_PACKAGES", 16)
    for number in range(40):
        write(tmp_path / "registry", f"lab/none{number}", [])
    ops = local_ops(tmp_path / "registry", tmp_path / "cache")
    assert (await ask(ops, "name:lab/none*")).total == 40
    assert (await ask(ops, "entries:0")).total == 40
