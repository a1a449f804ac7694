"""Parts: packages on their way into a catalog, a batch at a time, as three immutable tables.

    heads     a row a package: what its revision says of itself, and the same in lower case, to be looked through
    fields    a row for each value of its metadata
    entries   a row a file; the columns of Quilt's own table ``package_entry``, the path in lower case, its ending

Manifests are written as lines of JSON into a scratch folder, from which the engine makes the tables.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from quilt_mcp.errors import StorageFull, StorageUnavailable
from quilt_mcp.search.engine import Connection, literal
from quilt_mcp.search.head import Head
from quilt_mcp.search.state import KINDS, Part

GROUP: Final = 10_240
"""Rows in each group of a table: what is read, or passed over, together. Looking through all of them costs no more than with
larger ones, and thirty rows from here and there a third."""
BATCH_BYTES: Final = 160 << 20
"""Lines of entries that become one part."""
HEAD_BYTES: Final = 12 << 20
"""What packages say of themselves, in one part: the engine holds it several times over."""
MERGED_BYTES: Final = 32 << 20
"""What the packages of parts that become one may say of themselves together; the engine holds it several times over."""
MERGED_ENTRIES: Final = 3_000_000
_WILD: Final = re.compile(r"([*?\[])")
_LINE: Final = 1 << 20
"""Of lines that are all shorter; the engine keeps twice as much for each thread that reads."""

_WORDS: Final = r"regexp_replace({text}, '[^\p{{{{L}}}}\p{{{{N}}}}\x{{{{1e}}}}]+', ' ', 'g')"
"""Runs of letters and digits with a space before, between and after them, so that a word is found as ' word '."""
_END: Final = "chr(30)"
"""Stands between texts, so that no phrase reaches from one into the next."""


def _words(*texts: str) -> str:
    return " || ".join(f"' ' || {_WORDS.format(text=one)} || ' ' || {_END}" for one in texts)


_HEADS: Final = f"""
SELECT number, name, top_hash, modified, message, metadata, workflow, entries, size, readme, columns, lname, lmessage, lmeta,
       lreadme, lcolumns, lower(workflow) AS lworkflow,
       coalesce(octet_length(encode(message)), 0) + coalesce(octet_length(encode(metadata)), 0) AS weight,
       {_words("lname", "lmessage", "lmeta", "lreadme", "lcolumns")} AS words
FROM (SELECT *, lower(name) AS lname, lower(coalesce(message, '')) AS lmessage, lower(meta_text) AS lmeta,
             lower(readme) AS lreadme, lower(columns) AS lcolumns
      FROM read_json({{files}}, format = 'newline_delimited', hive_partitioning = false,
    maximum_object_size = {{longest}}, columns = {{{{
          number: 'INTEGER', name: 'VARCHAR', top_hash: 'VARCHAR', modified: 'BIGINT', message: 'VARCHAR', metadata: 'VARCHAR',
          meta_text: 'VARCHAR', workflow: 'VARCHAR', entries: 'BIGINT', size: 'BIGINT', readme: 'VARCHAR',
          columns: 'VARCHAR'}}}}))
ORDER BY number"""
_FIELDS: Final = f"""
SELECT number, pointer, in_list, kind, text, lower(text) AS ltext, {_words("lower(text)")} AS words, value, moment
FROM read_json({{files}}, format = 'newline_delimited', hive_partitioning = false,
    maximum_object_size = {{longest}}, columns = {{{{
    number: 'INTEGER', pointer: 'VARCHAR', in_list: 'BOOLEAN', kind: 'VARCHAR', text: 'VARCHAR', value: 'DOUBLE',
    moment: 'BIGINT'}}}})
ORDER BY number"""
# Of a file's metadata each key and value is a line: what is looked for stands in one of them. A comma within one stays.
ENDING: Final = r"[^/.]\.((?:[a-z0-9]+\.)?(?:gz|bz2|xz|zst)|[^./ ]{1,19})$"
"""What a name ends in, where compression alone is no ending."""
_ENTRIES: Final = f"""
SELECT number, logical_key, physical_key, hash_type, hash_value, size, metadata, lpath,
       regexp_extract(lpath, {{ending}}, 1) AS ext, lmeta,
       {_words("lpath")} ||
       CASE WHEN lmeta IS NULL THEN '' ELSE {_words("replace(lmeta, chr(10), ' ' || chr(30) || ' ')")} END AS words
FROM (SELECT CAST(regexp_extract(filename, '(\\d+)\\.lines$', 1) AS INTEGER) AS number, logical_key,
             physical_keys[1] AS physical_key, "hash"."type" AS hash_type, "hash"."value" AS hash_value, size,
             meta AS metadata, lower(logical_key) AS lpath,
             CASE WHEN meta = '{{{{}}}}' THEN NULL
                  ELSE lower(regexp_replace(regexp_replace(
                      replace((meta::JSON -> '$.user_meta')::VARCHAR, '\\\\', ' '), '\\\\[nrtbf]', ' ', 'g'),
                                            '"[,:]"|"[,:]|,"|[{{{{}}}}\\[\\]]|"', chr(10), 'g')) END AS lmeta
      FROM read_json({{files}}, format = 'newline_delimited', hive_partitioning = false, filename = true,
    maximum_object_size = {{longest}}, columns = {{{{
          logical_key: 'VARCHAR', physical_keys: 'VARCHAR[]', size: 'BIGINT',
          "hash": 'STRUCT("type" VARCHAR, "value" VARCHAR)', meta: 'VARCHAR'}}}}))"""


def words_of(column: str) -> str:
    """The words of a text, as an expression."""
    return _words(column).replace("{{", "{").replace("}}", "}")


class Batch:
    """Packages that become a part together, written to a scratch folder of its own. Methods block. They raise StorageFull and
    StorageUnavailable where that cannot be written."""

    def __init__(self, scratch: Path) -> None:
        self._folder = scratch
        self._heads: list[Head] = []
        self.bytes = self._head_bytes = 0
        self.entries = 0
        self._longest = _LINE
        with typed(scratch):
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True, mode=0o700)

    def __len__(self) -> int:
        return len(self._heads)

    @property
    def is_full(self) -> bool:
        return self.bytes >= BATCH_BYTES or self._head_bytes >= HEAD_BYTES

    def add(self, head: Head, lines: Iterable[bytes]) -> None:
        """``lines``: blocks of whole lines, each an entry as manifests hold it."""
        with typed(self._folder):
            with (self._folder / f"{head.number}.lines").open("wb") as file:
                for block in lines:
                    file.write(block)
                    self.bytes += len(block)
                    self._longest = max(self._longest, len(block))  # no line of it is longer
                is_empty = not file.tell()
            if is_empty:
                (self._folder / f"{head.number}.lines").unlink()
            with (self._folder / "heads").open("ab") as file:
                line = head.line()
                file.write(line)
                self._head_bytes += len(line)
                self._longest = max(self._longest, len(line))
            with (self._folder / "fields").open("ab") as file:
                for line in head.field_lines():
                    file.write(line)
                    self._head_bytes += len(line)
                    self._longest = max(self._longest, len(line))
        self._heads.append(head)
        self.entries += head.entries

    def finish(self, connection: Connection, folder: Path) -> Part:
        """Makes the tables, each by rename and named by its hash; the scratch folder goes. Atomic for each table."""
        files = {kind: [str(self._folder / kind)] for kind in ("heads", "fields")}
        files["entries"] = [
            str(path) for one in self._heads if (path := self._folder / f"{one.number}.lines").exists()
        ]
        statements = {"heads": _HEADS, "fields": _FIELDS, "entries": _ENTRIES}
        sources = {
            kind: statements[kind].format(
                files=many(files[kind]), longest=self._longest, ending=literal(ENDING)
            )
            for kind in KINDS
            if files[kind] and any(os.path.getsize(one) for one in files[kind])
        }
        part = write_part(
            connection, folder, self._folder, sources, len(self), self.entries, self._head_bytes
        )
        self.discard()
        return part

    def discard(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def write_part(
    connection: Connection,
    folder: Path,
    scratch: Path,
    sources: dict[str, str],
    packages: int,
    entries: int,
    weight: int,
) -> Part:
    """``sources``: the statement that each table's rows come from. Raises StorageUnavailable where rows are lost on the way."""
    rows = {"heads": packages, "entries": entries}
    hashes: dict[str, str] = {}
    size = 0
    with typed(folder):
        for kind, source in sources.items():
            made = scratch / f"{kind}.parquet"
            connection.rows(
                f"COPY ({source}) TO {literal(str(made))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {GROUP})"
            )
            [(written,)] = connection.rows(
                f"SELECT count(*) FROM read_parquet({many([str(made)])}, hive_partitioning = false)"
            )
            if written != rows.get(kind, written):
                raise StorageUnavailable(
                    f"Of {rows[kind]:,} rows {written:,} came into the catalog: somebody wrote to the cache folder meanwhile.",
                    next_step="Make the same call again.",
                    details={"directory": str(folder)},
                )
            hashes[kind] = sha256(made)
            size += made.stat().st_size
            put(made, table_path(folder, kind, hashes[kind]))
    return Part(hashes, packages, entries, size, weight)


def mergeable(parts: Sequence[Part]) -> list[Part]:
    """As many as may become one, small ones first; one at least."""
    chosen: list[Part] = []
    weight = entries = 0
    for part in sorted(parts, key=lambda part: (part.weight, part.entries)):
        weight, entries = weight + part.weight, entries + part.entries
        if chosen and (weight > MERGED_BYTES or entries > MERGED_ENTRIES):
            break
        chosen.append(part)
    return chosen


def merged(
    connection: Connection, folder: Path, scratch: Path, parts: Sequence[Part], live: Sequence[int]
) -> Part:
    """One part of what is ``live`` in some. They stay as they are."""
    with typed(scratch):
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True, mode=0o700)
    numbers = ", ".join(map(str, sorted(live))) or "NULL"
    sources: dict[str, str] = {}
    for kind in KINDS:
        if files := tables(folder, kind, parts):
            sources[kind] = (
                f"SELECT * FROM read_parquet({many(files)}, hive_partitioning = false) WHERE number IN ({numbers})"
            )
    entries = 0
    try:
        if "entries" in sources:
            [(entries,)] = connection.rows(f"SELECT count(*) FROM ({sources['entries']})")
        weight = sum(one.weight for one in parts)
        return write_part(connection, folder, scratch, sources, len(live), entries, weight)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def put(made: Path, path: Path) -> None:
    """Atomic. Whatever stands at ``path`` goes, a folder too."""
    try:
        os.replace(made, path)
    except IsADirectoryError:
        remove(path)
        os.replace(made, path)


def remove(path: Path) -> None:
    """A file, or a folder that stands in its place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def table_path(folder: Path, kind: str, digest: str) -> Path:
    return folder / f"{kind}-{digest}.parquet"


def tables(folder: Path, kind: str, parts: Iterable[Part]) -> list[str]:
    return [str(table_path(folder, kind, one.sha256[kind])) for one in parts if kind in one.sha256]


def many(files: Iterable[str]) -> str:
    """Some files, in a place where the engine reads patterns: a sign of theirs in a path stands for itself."""
    escaped = (literal(_WILD.sub(r"[\1]", one)) for one in files)
    return f"[{', '.join(escaped)}]"


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class typed:
    """Around what writes to a folder: its OSErrors are told as what they mean."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError):
            return
        import errno

        said = error.strerror or str(error)
        details = {"directory": str(self._folder)}
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFull(
                f"The catalog does not fit into the cache folder: {said}.",
                next_step="Free some space there, or set QUILT_MCP_CACHE_DIR to another folder.",
                details=details,
            ) from error
        raise StorageUnavailable(
            f"The cache folder cannot be used: {said}.",
            next_step="Make the folder writable, or set QUILT_MCP_CACHE_DIR to another one; what is in it may be deleted.",
            details=details,
        ) from error
