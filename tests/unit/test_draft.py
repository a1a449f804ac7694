"""A draft, which looks at nothing but what changes, against the plain way: the parent's entries in a dictionary, changed."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parts.manifests import opened, records
from quilt_mcp.domain.entry import DirectoryMeta, Entry, Hash, Header
from quilt_mcp.domain.listing import Totals
from quilt_mcp.domain.manifest.codec import encode_header, encode_record
from quilt_mcp.domain.names import walk_key
from quilt_mcp.domain.plan import Rename
from quilt_mcp.domain.walk import directory_order
from quilt_mcp.errors import (
    DuplicateKey,
    EntryNotFound,
    InputError,
    InvalidArgument,
    InvalidMetadata,
    NotAFile,
)
from quilt_mcp.registry.manifests.manifest import Manifest
from quilt_mcp.registry.writing.arrivals import Arrivals, Incoming
from quilt_mcp.registry.writing.drafts.changes import Changes
from quilt_mcp.registry.writing.drafts.draft import Draft
from quilt_mcp.registry.writing.drafts.transcript import find_top_hash, write_manifest

PARTS = st.sampled_from(["a", "b", "a-b", "é"])
KEYS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
NAMED = KEYS | KEYS.map(lambda key: f"{key}/")
HASH = Hash("sha2-256-chunked", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
NEW = Hash("sha2-256-chunked", "other")


def clashes(keys: set[str]) -> bool:
    return any(key[:at] in keys for key in keys for at in range(len(key)) if key[at] == "/")


def entry(key: str) -> Entry:
    return Entry(key, f"file:///{key}", len(key), HASH, {})


def parent_of(keys: set[str], folders: set[str], block: int = 90) -> Manifest:
    metas = directory_order(DirectoryMeta(f"{folder}/", {"n": folder}) for folder in folders)
    entries = sorted(map(entry, keys), key=lambda e: walk_key(e.logical_key))
    return opened(encode_header(Header()) + b"".join(map(encode_record, [*metas, *entries])), block=block)


def arriving(arrivals: Arrivals, keys: set[str]) -> Arrivals:
    arrivals.add((Incoming(key, 1, {"new": key}, content=b"1") for key in keys), "a test")
    return arrivals


class Patched:
    """What the changes make of a dictionary. Raises as a draft does; ``counts``: those of the plan, in order."""

    def __init__(self, parent: Manifest, request: dict[str, Any]) -> None:
        incoming: set[str] = request["incoming"]
        old = {e.logical_key: e for e in parent.entries()}
        metas = {m.logical_key: m.meta for m in parent.directory_metas()}
        stays = dict(old)
        for name in request["removed"]:
            if not any(self.within(key, name) for key in old) and not self.is_bare(name, old, metas):
                raise EntryNotFound(name)
            stays = {key: e for key, e in stays.items() if not self.within(key, name)}
        removed = old.keys() - stays.keys()
        moved: dict[str, str] = {}
        for name in request["renamed"]:
            own = [key for key in stays if self.rename_of(key, request["renamed"]) == name]
            if not own and not self.is_bare(name, old, metas):
                raise EntryNotFound(name)
            moved |= {key: request["renamed"][name] + key[len(name) :] for key in own}
        moved = {key: new for key, new in moved.items() if key != new}
        targets = list(moved.values())
        noted = {name: value for name, value in request["noted"].items() if not name.endswith("/")}
        if not noted.keys() <= stays.keys():
            raise EntryNotFound("noted")
        new = {key: self.noted(e, noted) for key, e in stays.items() if key not in moved}
        if len({*targets}) < len(targets) or {*targets} & (new.keys() | incoming):
            raise DuplicateKey("two")
        for key, target in moved.items():
            e = self.noted(old[key], noted)
            new[target] = Entry(target, e.physical_key, e.size, e.hash, e.meta)
        replaced = incoming & (old.keys() - moved.keys())
        new |= {key: Entry(key, "inline", 1, NEW, {"new": key}) for key in incoming}
        if clashes({*new}):
            raise DuplicateKey("clash")
        self.entries = [new[key] for key in sorted(new, key=walk_key)]
        edited = sum(
            noted.keys() >= {key} and key not in moved and new[key].meta != old[key].meta for key in noted
        )
        gone = {
            key for key in metas if any(n.endswith("/") and key.startswith(n) for n in request["removed"])
        }
        names = {key: self.renamed(key, request["renamed"]) for key in metas}
        edited += sum(self.is_bare(key, old, metas) for key in metas if key in gone or names[key] != key)
        stayed = {key: meta for key, meta in metas.items() if key not in gone and names[key] == key}
        for key, meta in metas.items():
            if key not in gone and names[key] != key:
                if names[key] and names[key] not in stayed:
                    stayed[names[key]] = meta
                else:
                    edited += not self.is_bare(key, old, metas)
        for name, value in request["noted"].items():
            if name.endswith("/"):
                edited += (stayed.get(name) or None) != (value or None)
                if value and name not in stayed and not any(key.startswith(name) for key in new):
                    raise EntryNotFound(name)
                stayed[name] = value
        metas = {key: meta for key, meta in stayed.items() if meta}
        if clashes({*new, *(f"{key}x" for key in metas)}):
            raise DuplicateKey("a file where a folder is")
        self.counts = (
            len(incoming) - len(replaced),
            len(replaced),
            len(removed - incoming),
            len(moved),
            edited,
        )
        self.directories = list(directory_order(DirectoryMeta(key, meta) for key, meta in metas.items()))

    @staticmethod
    def is_bare(name: str, old: dict[str, Entry], metas: dict[str, Any]) -> bool:
        """A folder that metadata alone makes."""
        is_folder = name.endswith("/") and any(key.startswith(name) for key in metas)
        return is_folder and not any(key.startswith(name) for key in old)

    @staticmethod
    def within(key: str, name: str) -> bool:
        return key.startswith(name) if name.endswith("/") else key == name

    @classmethod
    def rename_of(cls, key: str, renames: dict[str, str]) -> str | None:
        if key in renames:
            return key
        return max((n for n in renames if n.endswith("/") and key.startswith(n)), key=len, default=None)

    @classmethod
    def renamed(cls, folder: str, renames: dict[str, str]) -> str:
        name = max((n for n in renames if n.endswith("/") and folder.startswith(n)), key=len, default=None)
        return folder if name is None else renames[name] + folder[len(name) :]

    @staticmethod
    def noted(e: Entry, noted: dict[str, Any]) -> Entry:
        if e.logical_key not in noted:
            return e
        value = noted[e.logical_key]
        return Entry(
            e.logical_key, e.physical_key, e.size, e.hash, {} if value is None else {"user_meta": value}
        )


def drafted(parent: Manifest, request: dict[str, Any]) -> tuple[Any, ...]:
    renames = tuple(Rename(old, new) for old, new in request["renamed"].items())
    with Arrivals() as arrivals:
        changes = Changes(
            arriving(arrivals, request["incoming"]),
            removed=tuple(request["removed"]),
            renamed=renames,
            entry_metadata=request["noted"],
        )
        draft = Draft(Header(), parent, changes)
        draft.plan()
        foreseen = draft.outcome()
        seen = [e.logical_key for e in draft.entries()]
        for key in request["incoming"]:
            arrivals.finish(Entry(key, "inline", 1, NEW, {"new": key}))
        out = io.BytesIO()
        top_hash = write_manifest(out, Header(), draft, lambda: None)
        assert find_top_hash(Header(), draft, lambda: None) == top_hash
        found = draft.outcome()
    written = opened(out.getvalue())
    assert written.find_hash() == top_hash
    assert [e.logical_key for e in written.entries()] == seen
    assert out.getvalue() == encode_header(Header()) + b"".join(map(encode_record, records(written)))
    assert found == foreseen
    assert found.totals == written.totals
    assert len(found.changes) == sum(totals.entries for totals in found.actions.values())
    totals = tuple(found.actions[one].entries for one in ("add", "replace", "remove", "rename", "metadata"))
    return list(written.entries()), list(written.directory_metas()), totals


def renaming(old: str, new: str) -> str:
    """The kind of name, file or folder, that fits; the root for some."""
    if old.endswith("/") and new == "b/":
        return ""
    return f"{new.rstrip('/')}/" if old.endswith("/") else new.rstrip("/")


@given(
    parent=st.sets(KEYS, max_size=7).filter(lambda keys: not clashes(keys)),
    folders=st.sets(KEYS, max_size=2),
    incoming=st.sets(KEYS, max_size=3),
    removed=st.lists(NAMED, max_size=2, unique=True),
    renamed=st.dictionaries(NAMED, NAMED, max_size=2),
    noted=st.dictionaries(NAMED, st.sampled_from([None, {"x": 1}]), max_size=1),
    near=st.booleans(),
)
def test_a_draft_is_the_parent_changed(
    parent: set[str],
    folders: set[str],
    incoming: set[str],
    removed: list[str],
    renamed: dict[str, str],
    noted: dict[str, Any],
    near: bool,
) -> None:
    there = sorted(
        {
            *parent,
            *(f"{key.rpartition('/')[0]}/" for key in parent if "/" in key),
            *(f"{f}/" for f in folders),
        }
    )
    if near and there:  # names that exist, for most names do not
        removed = [there[len(name) % len(there)] for name in removed]
        renamed = {there[len(old) % len(there)]: new for old, new in renamed.items()}
        removed = list(dict.fromkeys(removed))
    folders = {folder for folder in folders if not clashes({*parent, f"{folder}/x"}) and folder not in parent}
    request = {
        "incoming": incoming,
        "removed": removed,
        "renamed": {old: renaming(old, new) for old, new in renamed.items()},
        "noted": {key: value for key, value in noted.items() if key not in incoming},
    }
    manifest = parent_of(parent, folders)
    try:
        expected = Patched(manifest, request)
    except (DuplicateKey, EntryNotFound):
        with pytest.raises(InputError) as refused:
            drafted(manifest, request)
        assert isinstance(refused.value, DuplicateKey | EntryNotFound | NotAFile)
        return
    entries, directories, counts = drafted(manifest, request)
    assert entries == expected.entries
    assert directories == expected.directories
    assert counts == expected.counts


@given(
    parent=st.sets(KEYS, max_size=5).filter(lambda keys: not clashes(keys)),
    incoming=st.sets(KEYS, max_size=4),
)
def test_a_package_written_anew_keeps_no_file(parent: set[str], incoming: set[str]) -> None:
    with Arrivals() as arrivals:
        draft = Draft(
            Header(), parent_of(parent, set()), Changes(arriving(arrivals, incoming), keep_parent=False)
        )
        if clashes(incoming):
            with pytest.raises(DuplicateKey):
                draft.plan()
            return
        draft.plan()
        assert [e.logical_key for e in draft.entries()] == sorted(incoming, key=walk_key)
        found = draft.outcome()
        assert found.actions["add"] == Totals(len(incoming - parent), len(incoming - parent))
        assert found.actions["replace"] == Totals(len(incoming & parent), len(incoming & parent))
        assert found.actions["remove"] == Totals(len(parent - incoming), sum(map(len, parent - incoming)))
        assert found.totals == Totals(len(incoming), len(incoming))
        assert len(found.changes) == len(incoming | parent)


def test_lines_of_the_parent_go_through_as_bytes_and_others_as_quilt3_writes_them() -> None:
    odd = b'{"logical_key":"b", "physical_keys": ["x"], "size": 1, "hash": {"type": "", "value": ""}, "meta": {"a":1}}\n'
    plain = encode_record(entry("a"))
    with Arrivals() as arrivals:
        draft = Draft(
            Header(), opened(encode_header(Header()) + odd + plain), Changes(arriving(arrivals, {"c"}))
        )
        draft.plan()
        arrivals.finish(entry("c"))
        out = io.BytesIO()
        write_manifest(out, Header(), draft, lambda: None)
    written = Entry("b", "x", 1, Hash("", ""), {"a": 1})
    assert out.getvalue().split(b"\n", 1)[1] == plain + encode_record(written) + encode_record(entry("c"))


def test_a_clash_names_the_key() -> None:
    parent = parent_of({"a/b", "c"}, set())
    for incoming, what in (
        ({"a"}, "'a' is a file, and also a folder"),
        ({"c/d"}, "'c' is a file, and also a folder"),
    ):
        with Arrivals() as arrivals, pytest.raises(DuplicateKey, match=what):
            Draft(Header(), parent, Changes(arriving(arrivals, incoming))).plan()


@pytest.mark.parametrize("key", ["", "/", "//", "d//", "/d/", "d/../", "./", "/d", "d//a", "d/\0/"])
def test_names_spelled_otherwise_than_a_manifest_has_them_are_refused(key: str) -> None:
    with Arrivals() as none:
        for ask in (
            {"removed": [key]},
            {"renamed": [Rename(key, "e/" if key.endswith("/") else "e")]},
            {"renamed": [Rename("d/" if key.endswith("/") else "d", key or "/")]},
            {"entry_metadata": {key: {"x": 1}}},
        ):
            with pytest.raises(InputError):
                Changes(none, **ask)


def test_one_file_has_one_new_name() -> None:
    with Arrivals() as none, pytest.raises(InvalidArgument, match="twice"):
        Changes(none, renamed=[Rename("a", "q"), Rename("a", "r")])


def test_a_line_that_may_not_be_written_is_refused_before_anything_is_done() -> None:
    odd = encode_record(entry("b")).replace(b'"meta": {}', b'"meta": {"user_meta": NaN}')
    parent = opened(encode_header(Header()) + encode_record(entry("a")) + odd)
    with Arrivals() as none:
        with pytest.raises(InvalidMetadata):
            Draft(Header(), parent, Changes(none, removed=["a"])).plan()
        Draft(Header(), parent, Changes(none, removed=["b"])).plan()


def test_of_a_block_of_lines_only_those_spelled_otherwise_are_written_anew() -> None:
    """What quilt3 would write for each line: ``1.50`` and tight separators become its own spelling, all else stays."""
    texts = ['{"n": 1.5}', '{"n": 1.50}', '{"n":1.5}', '{"n": "\\u00e9"}', '{"n": "é"}']
    lines = [
        f'{{"logical_key": "f{number}", "physical_keys": ["s3://b/k"], "size": 1, '
        f'"hash": {{"type": "SHA256", "value": "0"}}, "meta": {text}}}\n'
        for number, text in enumerate(texts)
    ]
    parent = opened(encode_header(Header()) + "".join(lines).encode())
    out = io.BytesIO()
    with Arrivals() as arrivals:
        draft = Draft(Header(), parent, Changes(arrivals, removed=("f0",)))
        draft.plan()
        top_hash = write_manifest(out, Header(), draft, lambda: None)
    spelled = ['{"n": 1.5}', '{"n": 1.5}', '{"n": "é"}', '{"n": "é"}']
    kept = [line.partition('"meta"')[0] for line in lines[1:]]
    expected = [f'{line}"meta": {text}}}\n' for line, text in zip(kept, spelled, strict=True)]
    assert out.getvalue() == encode_header(Header()) + "".join(expected).encode()
    assert opened(out.getvalue()).find_hash() == top_hash
