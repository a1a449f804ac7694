"""A draft that looks at few keys finds out what walking the whole of it does."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from quilt_mcp.domain.entry import DirectoryMeta, Entry, Hash, Header, Record
from quilt_mcp.errors import DuplicateKey
from quilt_mcp.registry.manifests.memory import MemoryManifest
from quilt_mcp.registry.writing.arrivals import Arrivals, Incoming
from quilt_mcp.registry.writing.draft import Changes, Draft

PARTS = st.sampled_from(["a", "b", "a-b", "é"])
KEYS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
HASH = Hash("sha2-256-chunked", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")


def is_clash(keys: set[str]) -> bool:
    return any(key[:at] in keys for key in keys for at in range(len(key)) if key[at] == "/")


def entry(key: str) -> Entry:
    return Entry(key, f"file:///{key}", len(key), HASH, {})


def arriving(arrivals: Arrivals, keys: set[str]) -> Arrivals:
    arrivals.add((Incoming(key, 1, {}, content=b"1") for key in keys), "a test")
    return arrivals


def outcome(manifest: MemoryManifest, keys: set[str], *, few: bool) -> Any:
    with Arrivals() as arrivals:
        draft = Draft(Header(), manifest, Changes(arriving(arrivals, keys)))
        try:
            if few:
                assert draft.survey_few(entries_a_look_up=0)
            else:
                assert all(True for _ in draft.survey())
        except DuplicateKey as error:
            return error.code
        replaced = [arrivals.replaced(key) for key in sorted(keys)]
        for key in keys:
            arrivals.finish(entry(key))
        return draft.counts, draft.changes_shown, replaced, list(draft.records())


@given(
    parent=st.sets(KEYS, max_size=6).filter(lambda keys: not is_clash(keys)),
    folders=st.sets(KEYS, max_size=3),
    incoming=st.sets(KEYS, max_size=4),
)
def test_looking_at_few_keys_finds_what_walking_the_draft_finds(
    parent: set[str], folders: set[str], incoming: set[str]
) -> None:
    metas = [DirectoryMeta(f"{key}/", {"n": key}) for key in folders if key not in parent]
    metas = [meta for meta in metas if not is_clash({*parent, meta.logical_key})]
    records: list[Record] = [*metas, *(entry(key) for key in parent)]
    manifest = MemoryManifest("0" * 64, Header(), records)
    assert outcome(manifest, incoming, few=True) == outcome(manifest, incoming, few=False)


def test_a_draft_that_removes_must_be_walked() -> None:
    manifest = MemoryManifest("0" * 64, Header(), [entry("a")])
    with Arrivals() as none, Arrivals() as one:
        assert not Draft(Header(), manifest, Changes(none, removed=("a",))).survey_few(0)
        assert not Draft(Header(), None, Changes(none)).survey_few(0)
        assert not Draft(Header(), manifest, Changes(none, keep_parent=False)).survey_few(0)
        assert not Draft(Header(), manifest, Changes(arriving(one, {"b"}))).survey_few(2)
