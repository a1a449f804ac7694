"""``quilt-mcp cache``: what is kept, how it is told, what goes and what stays. Ours."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from shell import Shell, on_a_terminal

from quilt_mcp.search.folder import CatalogFolder
from quilt_mcp.search.state import State
from quilt_mcp.storage.cached import alone, kept
from quilt_mcp.storage.private import PrivateFolder


def cache(shell: Shell, *words: str, code: int = 0, **variables: str) -> dict[str, Any]:
    result = shell.run("cache", *words, **variables)
    assert result.returncode == code, result.stdout + result.stderr
    return json.loads(result.stdout)


def folder(shell: Shell) -> Path:
    return shell.home / ".cache" / "quilt-mcp"


def files(shell: Shell) -> set[str]:
    return {str(path.relative_to(folder(shell))) for path in folder(shell).rglob("*") if path.is_file()}


@pytest.fixture
def other(shell: Shell) -> str:
    """A second registry."""
    return str(shell.home / "other registry")


@pytest.fixture
def filled(shell: Shell, other: str) -> Shell:
    """The catalogs of two registries, the second used last, and two manifests."""
    for age, registry in enumerate((str(shell.registry), other)):
        catalog = CatalogFolder(PrivateFolder(folder(shell)), Path(registry).as_uri())
        with catalog.building():
            catalog.save(State(catalog.url, as_of=1.0))
        (catalog.path() / "text.db").write_bytes(b"x" * 5_000)
        os.utime(catalog.path() / "lock", (1_000_000 * (age + 1), 1_000_000 * (age + 1)))
    for number in range(2):
        for ending, size in (("index", 100), ("lines", 1_000)):
            path = folder(shell) / f"v3-{number:040x}.{ending}"
            path.write_bytes(b"x" * size)
            os.utime(path, (3_000_000 + number, 3_000_000 + number))
    return shell


def test_show_tells_each_catalog_and_the_manifests_with_bytes_and_last_use(filled: Shell, other: str) -> None:
    told = cache(filled, "show")
    first, second, manifests = told["kept"]
    assert first == {
        "kind": "catalog",
        "registry": Path(other).as_uri(),
        "bytes": first["bytes"],
        "last_used": "1970-01-24T03:33:20Z",
    }
    assert second["registry"] == filled.registry.as_uri()
    assert second["last_used"] == "1970-01-12T13:46:40Z"
    assert manifests == {
        "kind": "manifest",
        "manifests": 2,
        "bytes": 2_200,
        "last_used": "1970-02-04T17:20:01Z",
    }
    assert told["folder"] == str(folder(filled)) and told["exists"] is True
    assert told["bytes"] == first["bytes"] + second["bytes"] + 2_200
    assert told["most_bytes"] == 2 << 30
    below = folder(filled) / "search"
    assert first["bytes"] + second["bytes"] == sum(
        one.stat().st_size for one in below.rglob("*") if one.is_file()
    )


def test_show_narrows_to_a_kind_or_a_registry(filled: Shell, other: str) -> None:
    assert [one["kind"] for one in cache(filled, "show", "--kind", "manifest")["kept"]] == ["manifest"]
    assert [one["kind"] for one in cache(filled, "show", "--kind", "catalog")["kept"]] == ["catalog"] * 2
    [one] = cache(filled, "show", "--registry", other)["kept"]
    assert one["registry"] == Path(other).as_uri()
    assert cache(filled, "show", "--registry", "s3://nobody-was-here")["kept"] == []


def test_a_person_sees_a_table_and_the_bound(filled: Shell) -> None:
    seen = re.sub(
        r"\x1b\[[0-9;?]*[a-zA-Z]",
        "",
        on_a_terminal(filled, "cache", "show", QUILT_MCP_CACHE_BYTES="50000000"),
    )
    lines = [line.rstrip("\r ") for line in seen.split("\n")]
    assert lines[0] == f"In {folder(filled)}:"
    assert lines[1].split() == ["kind", "registry", "manifests", "bytes", "last", "used"]
    assert lines[4].split()[:2] == ["manifest", "2"]
    assert "of 50.0 MB at most (QUILT_MCP_CACHE_BYTES)" in lines[5]
    assert "last_used" in on_a_terminal(filled, "cache", "show", "--json")


def test_clear_removes_all_that_is_kept_says_so_and_the_next_search_makes_it_anew(
    filled: Shell,
) -> None:
    (folder(filled) / "thesis.tex").write_text("mine")
    filled.make_package()
    assert filled.call("search", {"query": "data"})["page"]["total"] == 1
    shown = cache(filled, "show")
    told = cache(filled, "clear")
    assert (told["removed"], told["bytes"]) == (shown["kept"], shown["bytes"])
    assert told["stayed"] == [] and told["dry_run"] is False
    assert {name for name in files(filled) if not name.endswith("/lock")} == {"thesis.tex"}
    assert cache(filled, "clear")["removed"] == []
    assert filled.call("search", {"query": "data"})["page"]["total"] == 1


def test_a_dry_run_says_what_would_go_and_removes_nothing(filled: Shell) -> None:
    before, shown = files(filled), cache(filled, "show")
    told = cache(filled, "clear", "--dry-run")
    assert told["removed"] == shown["kept"] and told["dry_run"] is True
    assert files(filled) == before
    seen = on_a_terminal(filled, "cache", "clear", "--dry-run")
    assert "Would be removed" in seen and files(filled) == before


def test_clear_narrows_to_a_kind(filled: Shell) -> None:
    cache(filled, "clear", "--kind", "manifest")
    assert {one["kind"] for one in cache(filled, "show")["kept"]} == {"catalog"}
    seen = on_a_terminal(filled, "cache", "clear", "--kind", "catalog")
    assert "Removed from" in seen
    assert cache(filled, "show")["kept"] == []
    assert "There is nothing to remove" in on_a_terminal(filled, "cache", "clear")
    assert "nothing" in on_a_terminal(filled, "cache", "show")


def test_clear_narrows_to_a_registry_that_is_typed_and_not_to_the_configured_one(
    filled: Shell, other: str
) -> None:
    told = cache(filled, "clear", "--registry", filled.registry.as_uri())
    assert [one["registry"] for one in told["removed"]] == [filled.registry.as_uri()]
    left = cache(filled, "show")["kept"]
    assert [one.get("registry") for one in left] == [Path(other).as_uri(), None]
    assert len(cache(filled, "clear", QUILT_DEFAULT_REGISTRY=str(filled.registry))["removed"]) == 2


def test_manifests_of_one_registry_cannot_be_told_apart(shell: Shell) -> None:
    result = shell.run("cache", "clear", "--kind", "manifest", "--registry", "s3://bucket")
    assert result.returncode == 2
    assert "[invalid_argument]" in result.stderr and "--registry" in result.stderr


def test_a_catalog_that_another_process_builds_stays_and_is_named(filled: Shell, other: str) -> None:
    [busy] = [one.path for one in kept(folder(filled)) if one.used == 2_000_000]
    with alone(lambda: busy):
        told = cache(filled, "clear", code=5)
        again = filled.run("cache", "clear")
    assert [one["registry"] for one in told["stayed"]] == [Path(other).as_uri()]
    assert len(told["removed"]) == 2
    assert again.returncode == 5
    assert Path(other).as_uri() in again.stderr and "[storage_busy]" in again.stderr
    assert cache(filled, "clear")["stayed"] == []
    assert kept(folder(filled)) == []


def test_a_cache_folder_that_is_not_there_is_said_to_be_none_and_is_not_made(shell: Shell) -> None:
    for what in ("show", "clear"):
        assert cache(shell, what)["folder"] == str(folder(shell))
    assert cache(shell, "show") == {
        "folder": str(folder(shell)), "exists": False, "kept": [], "bytes": 0, "most_bytes": 2 << 30,
    }  # fmt: skip
    assert "There is no cache folder" in on_a_terminal(shell, "cache", "show")
    assert not folder(shell).exists()


def test_case_X9_a_folder_that_others_may_write_is_not_cleared(filled: Shell) -> None:
    before = files(filled)
    folder(filled).chmod(0o777)
    result = filled.run("cache", "clear")
    assert result.returncode == 5 and "chmod go-w" in result.stderr
    assert files(filled) == before


def test_a_cache_folder_that_cannot_be_looked_into_is_an_error(shell: Shell) -> None:
    (shell.home / "file").write_text("in the way")
    result = shell.run("cache", "show", "--cache-dir", str(shell.home / "file" / "cache"))
    assert result.returncode == 5 and "--cache-dir" in result.stderr


def test_what_cannot_be_removed_is_an_error(filled: Shell) -> None:
    (folder(filled) / f"v3-{0:040x}.index").unlink()
    (folder(filled) / f"v3-{0:040x}.index").mkdir()
    result = filled.run("cache", "clear", "--kind", "manifest")
    assert result.returncode == 5 and f"v3-{0:040x}" in result.stderr


def test_a_catalog_whose_registry_is_not_known_is_shown_and_cleared(filled: Shell, other: str) -> None:
    for one in kept(folder(filled)):
        if one.used == 2_000_000:
            (one.path / "catalog.json").write_bytes(b"damaged")
    registries = [one.get("registry") for one in cache(filled, "show", "--kind", "catalog")["kept"]]
    assert registries == ["(not known)", filled.registry.as_uri()]
    assert cache(filled, "clear", "--registry", other)["removed"] == []
    assert len(cache(filled, "clear", "--kind", "catalog")["removed"]) == 2


def test_a_word_that_is_none_of_its_is_refused(shell: Shell) -> None:
    assert shell.run("cache", "burn").returncode == 2
    assert shell.run("cache").returncode == 2
