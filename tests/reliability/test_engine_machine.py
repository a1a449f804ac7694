"""The engine against a model: any sequence of creating, patching, copying, rolling back and deleting."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import registry_checks
from anyio.from_thread import start_blocking_portal
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model_registry import ModelFile, ModelRegistry, ModelRevision, clashes

from quilt_mcp.backends.local import LocalOps
from quilt_mcp.backends.options import Options
from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.metadata import changed_meta
from quilt_mcp.domain.plan import (
    UNSET,
    CopyRequest,
    CreateRequest,
    InlineFile,
    PatchRequest,
    Rename,
    Unset,
)
from quilt_mcp.errors import AlreadyExists, DuplicateKey, InvalidArgument, PackageNotFound, StaleParent

MEMORY = Path("/dev/shm")
"""A file system that syncs at no cost, where there is one."""
NAMES = st.sampled_from(["a/b", "a/b-2", "a/bc", "ab/c"])
KEYS = st.sampled_from(["f", "g", "a/f", "a/g", "a/d/h", "a-b/f", "a.b", "é/ü"])
CONTENTS = st.sampled_from([b"", b"1", b"22", b"333"])
METADATA = st.sampled_from([UNSET, None, {}, {"k": 1}, {"k": None, "j": [1, 2.5]}])
MESSAGES = st.sampled_from([None, "m", "é"])
FILES = st.dictionaries(KEYS, CONTENTS, max_size=4)


def replacing(before: ModelFile | None, content: bytes) -> ModelFile:
    """It keeps the metadata of what it replaces."""
    return ModelFile(content, before.metadata if before else None)


class EngineMachine(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.closing = ExitStack()
        self.root = Path(tempfile.mkdtemp(prefix="engine-machine-", dir=MEMORY if MEMORY.is_dir() else None))
        self.closing.callback(shutil.rmtree, self.root)
        self.registry = self.root / "registry"
        self.registry.mkdir()
        self.portal = self.closing.enter_context(start_blocking_portal())
        options = Options(roots=(self.root,), writable=True, cache=self.root / "cache", cache_bytes=1 << 20)
        self.ops = LocalOps(str(self.registry), options)
        self.model = ModelRegistry()

    def teardown(self) -> None:
        if hasattr(self, "closing"):
            self.closing.close()

    def do(self, verb: Any, *arguments: Any, **named: Any) -> Any:
        return self.portal.call(lambda: verb(*arguments, **named))

    def uri(self, name: str, top_hash: str | None = None, path: str | None = None) -> PackageUri:
        return PackageUri(self.ops.default_registry, name, top_hash=top_hash, path=path)

    @rule(name=NAMES, files=FILES, metadata=METADATA, message=MESSAGES, overwrite=st.booleans())
    def create(
        self, name: str, files: dict[str, bytes], metadata: Any, message: str | None, overwrite: bool
    ) -> None:
        inline = tuple(InlineFile(key, content) for key, content in files.items())
        request = CreateRequest(
            self.uri(name),
            files=inline,
            metadata=metadata,
            message=message,
            overwrite=overwrite,
            allow_empty=True,
        )
        if name in self.model.packages and not overwrite:
            with pytest.raises((AlreadyExists, DuplicateKey)):
                self.do(self.ops.create, request)
            return
        if clashes(set(files)):
            with pytest.raises(DuplicateKey):
                self.do(self.ops.create, request)
            return
        before: dict[str, ModelFile] = {}
        if name in self.model.packages:
            before = self.model.latest(name).files
            metadata = self.model.latest(name).metadata if metadata is UNSET else metadata
        commit = self.do(self.ops.create, request)
        revision = ModelRevision(
            {key: replacing(before.get(key), content) for key, content in files.items()}, metadata, message
        )
        assert commit.created == self.model.publish(name, commit.top_hash, revision)
        plan = commit.plan
        assert plan.added == len(files.keys() - before.keys())
        assert plan.removed == len(before.keys() - files.keys())
        changed = {key for key in files.keys() & before.keys() if revision.files[key] != before[key]}
        assert (plan.replaced, plan.kept) == (len(changed), len(files.keys() & before.keys()) - len(changed))

    @precondition(lambda self: self.model.packages)
    @rule(data=st.data())
    def patch(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.model.packages)))
        package = self.model.packages[name]
        before = self.model.latest(name)
        keys = sorted(before.files)
        removed = set(data.draw(st.lists(st.sampled_from(keys), max_size=2, unique=True))) if keys else set()
        left = [key for key in keys if key not in removed]
        old = data.draw(st.sampled_from(left)) if left and data.draw(st.booleans()) else None
        new = data.draw(KEYS)
        added = data.draw(st.dictionaries(KEYS, CONTENTS, max_size=2))
        labelled = data.draw(st.sampled_from(left)) if left and data.draw(st.booleans()) else None
        metadata = data.draw(METADATA)
        mode = data.draw(st.sampled_from(["merge", "replace"]))
        message = data.draw(MESSAGES)
        if not (removed or old or added or labelled or metadata is not UNSET or message):
            return
        request = PatchRequest(
            self.uri(name),
            data.draw(st.sampled_from([None, package.latest, package.latest[:12]])),
            files=tuple(InlineFile(key, content) for key, content in added.items()),
            remove=tuple(sorted(removed)),
            rename=(Rename(old, new),) if old else (),
            entry_metadata={labelled: {"l": 1}} if labelled else {},
            metadata=metadata,
            metadata_mode=mode,
            message=message,
        )
        if labelled in added:
            with pytest.raises(InvalidArgument):
                self.do(self.ops.patch, request)
            return
        files = {key: file for key, file in before.files.items() if key not in removed}
        if labelled:
            files[labelled] = ModelFile(files[labelled].content, {"l": 1})
        is_moved = old is not None and old != new
        collides = is_moved and (new in files or new in added)
        if is_moved:
            moved = files.pop(old)
            if not collides:
                files[new] = moved
        files |= {key: replacing(files.get(key), content) for key, content in added.items()}
        if collides or clashes(set(files)):
            with pytest.raises(DuplicateKey):
                self.do(self.ops.patch, request)
            return
        now = before.metadata
        if not isinstance(metadata, Unset):
            target = None if isinstance(now, Unset) else now
            now = changed_meta(target, metadata, merge=mode == "merge")
            now = UNSET if now is None and before.metadata is UNSET else now
        plan = self.do(self.ops.plan_patch, request)
        commit = self.do(self.ops.patch, request)
        assert commit.plan.parent == plan.parent == package.latest
        assert plan.added + plan.replaced + plan.renamed + plan.kept == len(files)
        assert commit.created == self.model.publish(name, commit.top_hash, ModelRevision(files, now, message))

    @precondition(lambda self: self.model.packages)
    @rule(data=st.data())
    def patch_on_an_old_parent(self, data: st.DataObject) -> None:
        """A disjoint change on any revision of the log: refused, or merged when asked."""
        name = data.draw(st.sampled_from(sorted(self.model.packages)))
        package = self.model.packages[name]
        parent = data.draw(st.sampled_from([*package.log, package.latest]))
        merge = data.draw(st.booleans())
        key = f"only-here-{len(self.model.revisions)}"
        request = PatchRequest(
            self.uri(name), parent, files=(InlineFile(key, b"x"),), message=None, merge=merge
        )
        if parent != package.latest and not merge:
            with pytest.raises(StaleParent):
                self.do(self.ops.patch, request)
            return
        commit = self.do(self.ops.patch, request)
        assert commit.merged_onto == (None if parent == package.latest else package.latest)
        before = self.model.latest(name)
        files = {**before.files, key: ModelFile(b"x")}
        self.model.publish(name, commit.top_hash, ModelRevision(files, before.metadata, None))

    @precondition(lambda self: self.model.packages)
    @rule(data=st.data(), to=NAMES)
    def copy(self, data: st.DataObject, to: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.model.packages)))
        top_hash = data.draw(
            st.sampled_from([*self.model.packages[name].log, self.model.packages[name].latest])
        )
        overwrite = data.draw(st.booleans())
        request = CopyRequest(self.uri(name, top_hash), self.uri(to), overwrite=overwrite)
        if to in self.model.packages and to != name and not overwrite:
            with pytest.raises(AlreadyExists):
                self.do(self.ops.copy, request)
            return
        commit = self.do(self.ops.copy, request)
        assert commit.top_hash == top_hash
        if to == name:
            assert commit.created == self.model.roll_back(name, top_hash)
        else:
            assert commit.created == self.model.publish(to, top_hash, self.model.revisions[top_hash])

    @precondition(lambda self: self.model.packages)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.model.packages)))
        top_hash = data.draw(st.sampled_from([None, *self.model.packages[name].log]))
        whole = top_hash is None
        plan = self.do(self.ops.delete, self.uri(name, top_hash), whole=whole, dry_run=True)
        outcome = self.do(self.ops.delete, self.uri(name, top_hash), whole=whole)
        self.model.delete(name, top_hash)
        assert (plan.removed, plan.latest) == (outcome.removed, outcome.latest)
        left = self.model.packages.get(name)
        assert outcome.latest == (left.latest if left else None)

    @rule(name=NAMES)
    def what_was_never_made_is_not_found(self, name: str) -> None:
        if name not in self.model.packages:
            with pytest.raises(PackageNotFound):
                self.do(self.ops.browse, self.uri(name))

    @precondition(lambda self: len(self.model.revisions) > 1)
    @rule(data=st.data())
    def diff(self, data: st.DataObject) -> None:
        hashes = st.sampled_from(sorted(self.model.revisions))
        old, new = data.draw(hashes), data.draw(hashes)
        before, after = self.model.revisions[old].files, self.model.revisions[new].files
        name = next(iter(self.model.packages), "a/b")
        found = self.do(self.ops.diff, self.uri(name, old), self.uri(name, new), limit=1000)
        paths = {change.path for change in found.changes} | {change.old_path for change in found.changes} - {
            None
        }
        keys = before.keys() | after.keys()
        assert paths == {key for key in keys if before.get(key) != after.get(key)}
        assert found.totals.unchanged == len(keys) - len(paths)

    @invariant()
    def every_package_lists_logs_and_reads_as_the_model_does(self) -> None:
        if not hasattr(self, "model"):
            return
        listed = self.do(self.ops.list_packages, self.ops.default_registry, limit=1000).items
        assert {item.name: item.top_hash for item in listed} == {
            name: package.latest for name, package in self.model.packages.items()
        }
        for name, package in self.model.packages.items():
            log = self.do(self.ops.log, self.uri(name), limit=1000).items
            assert [line.top_hash for line in reversed(log)] == package.log
            revision = self.model.latest(name)
            browse = self.do(self.ops.browse, self.uri(name), recursive=True, limit=1000)
            assert {item.path: item.metadata for item in browse.page.items} == {
                key: file.metadata for key, file in revision.files.items()
            }
            metadata = None if isinstance(revision.metadata, Unset) else revision.metadata
            assert (browse.metadata, browse.message) == (metadata, revision.message)
            stored = registry_checks.files(self.registry, package.latest)
            assert stored == {key: file.content for key, file in revision.files.items()}


def test_any_sequence_of_changes_leaves_what_the_model_holds() -> None:
    """A fifth of the profile's examples: each is a registry with its whole history."""
    profile = settings()
    shorter = settings(profile, max_examples=profile.max_examples // 5, stateful_step_count=25)
    run_state_machine_as_test(EngineMachine, settings=shorter)
