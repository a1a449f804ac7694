"""The difference of two manifests: a merge of their lines, of which nothing is kept but where the changes stand."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from itertools import compress

from quilt_mcp.domain.diff import DiffTotals, EntryChange, entry_change, is_same_file, is_same_json
from quilt_mcp.domain.entry import Entry
from quilt_mcp.domain.manifest.codec import decode_entry, walk_key_in
from quilt_mcp.domain.manifest.plain_lines import plain_lines
from quilt_mcp.registry.manifests.manifest import Manifest

NOWHERE = -1
_OVERHEAD = 1 << 10


@dataclass(frozen=True, slots=True)
class Difference:
    """What a comparison found, in walk order: offsets into two manifests, and neither of the two. ``old`` and ``new`` are where
    the changed lines stand on either side, NOWHERE for one that stands on the other side alone."""

    totals: DiffTotals
    old: array[int]
    new: array[int]

    @property
    def held(self) -> int:
        """Bytes of memory that it takes."""
        return _OVERHEAD + 16 * len(self.old)


@dataclass(frozen=True, slots=True)
class ManifestDiff:
    """The changes from one manifest to another; those of a page are read when it is asked for."""

    before: Manifest
    after: Manifest
    found: Difference

    @property
    def totals(self) -> DiffTotals:
        return self.found.totals

    @property
    def count(self) -> int:
        return len(self.found.old)

    def page(self, offset: int, limit: int) -> list[EntryChange]:
        """Blocks as ``Manifest`` does."""
        found, end = self.found, offset + limit
        pairs = zip(found.old[offset:end], found.new[offset:end], strict=True)
        return [entry_change(_entry(self.before, old), _entry(self.after, new)) for old, new in pairs]


def diff(
    before: Manifest, after: Manifest, path: str = "", checkpoint: Callable[[], None] = lambda: None
) -> ManifestDiff:
    """The changes at or below ``path`` (a folder or a file; '' for all). Entries are equal as quilt3 has it: size, hash and the
    whole meta object; physical keys do not count. Of added and removed entries with one hash and size the first removed is
    the first added, renamed, and so on, in walk order.

    Lines that are equal byte for byte are not looked into. Memory grows with the changes: some hundred bytes for each entry
    that stands on one side alone, while it runs. ``checkpoint`` is called every 128 KB and may raise.
    """
    merge = _Merge()
    merge.run(_Side(before, path, checkpoint), _Side(after, path, checkpoint))
    renamed = merge.pair()
    totals = DiffTotals(
        added=len(merge.added) - renamed,
        removed=len(merge.removed) - renamed,
        modified=merge.modified,
        renamed=renamed,
        metadata=merge.metadata,
        unchanged=merge.unchanged,
    )
    return ManifestDiff(before, after, Difference(totals, merge.old, merge.new))


class _Side:
    """The lines of one manifest as they go by."""

    def __init__(self, manifest: Manifest, path: str, checkpoint: Callable[[], None]) -> None:
        self._checkpoint = checkpoint
        self.at, self._end = manifest.span(path)
        self._lines = manifest.lines
        self._blocks = self._lines.blocks(self.at, self._end)
        self.waiting: list[bytes] = []
        """Lines that were read and have not gone by, the next one last."""

    def fill(self) -> bool:
        """Whether there is a line still."""
        if not self.waiting:
            self._checkpoint()
            self.waiting = next(self._blocks, b"").split(b"\n")[-2::-1]
        return bool(self.waiting)

    def pass_line(self) -> int:
        """Lets the next line go by; where it stands."""
        at = self.at
        self.at += len(self.waiting.pop()) + 1
        return at


class _Merge:
    def __init__(self) -> None:
        self.old, self.new = array("q"), array("q")
        self.removed: list[bytes] = []
        """What tells the content of each removed entry, in walk order; ``added`` likewise."""
        self.added: list[bytes] = []
        self.modified = self.metadata = self.unchanged = 0

    def run(self, old: _Side, new: _Side) -> None:
        while old.fill() and new.fill():
            self._pass_equal(old, new)
            while old.waiting and new.waiting and old.waiting[-1] != new.waiting[-1]:
                self._pass_unequal(old, new)
        while old.fill():
            self._remove(old)
        while new.fill():
            self._add(new)

    def _pass_equal(self, old: _Side, new: _Side) -> None:
        pairs = zip(reversed(old.waiting), reversed(new.waiting), strict=False)
        equal = next((number for number, (one, other) in enumerate(pairs) if one != other), None)
        if equal is None:
            equal = min(len(old.waiting), len(new.waiting))
        if equal:
            length = sum(map(len, old.waiting[-equal:])) + equal
            for side in (old, new):
                side.at += length
                del side.waiting[-equal:]
            self.unchanged += equal

    def _pass_unequal(self, old: _Side, new: _Side) -> None:
        old_key, new_key = walk_key_in(old.waiting[-1]) or b"", walk_key_in(new.waiting[-1]) or b""
        if old_key < new_key:
            self._remove(old)
        elif new_key < old_key:
            self._add(new)
        else:
            one, other = old.waiting[-1], new.waiting[-1]
            places = old.pass_line(), new.pass_line()
            if _is_surely_modified(one, other) or not is_same_file(decode_entry(one), decode_entry(other)):
                self.modified += 1
            elif not is_same_json(decode_entry(one).meta, decode_entry(other).meta):
                self.metadata += 1
            else:
                self.unchanged += 1
                return
            self._place(*places)

    def _remove(self, old: _Side) -> None:
        self.removed.append(_content(old.waiting[-1]))
        self._place(old.pass_line(), NOWHERE)

    def _add(self, new: _Side) -> None:
        self.added.append(_content(new.waiting[-1]))
        self._place(NOWHERE, new.pass_line())

    def _place(self, old: int, new: int) -> None:
        self.old.append(old)
        self.new.append(new)

    def pair(self) -> int:
        """Makes one rename of each removed and added entry of equal content; how many there are."""
        if not self.removed or not self.added:
            return 0
        sources: dict[bytes, list[int]] = {}
        numbers = [number for number, new in enumerate(self.new) if new == NOWHERE]
        for content, number in zip(reversed(self.removed), reversed(numbers), strict=True):
            sources.setdefault(content, []).append(number)
        stays = bytearray(b"\1") * len(self.old)
        targets = (number for number, old in enumerate(self.old) if old == NOWHERE)
        renamed = 0
        for content, number in zip(self.added, targets, strict=True):
            if matching := sources.get(content):
                source = matching.pop()
                self.old[number] = self.old[source]
                stays[source] = 0
                renamed += 1
        self.old = array("q", compress(self.old, stays))
        self.new = array("q", compress(self.new, stays))
        return renamed


def _is_surely_modified(one: bytes, other: bytes) -> bool:
    """Whether two lines in quilt3's own spelling name files of another size or hash. False may be wrong; it takes a third of
    the time that decoding them does."""
    plain = plain_lines(b"%b\n%b\n" % (one, other))
    return (
        plain is not None and len({*zip(plain.sizes, plain.hash_types, plain.hash_values, strict=True)}) > 1
    )


def _content(line: bytes) -> bytes:
    """Equal for entries of equal hash and size, and for no others that one will ever meet."""
    entry = decode_entry(line)
    return blake2b(repr((entry.hash, entry.size)).encode(), digest_size=16).digest()


def _entry(manifest: Manifest, at: int) -> Entry | None:
    return None if at == NOWHERE else decode_entry(manifest.lines.line_at(at))
