"""The page that says how a query of ``search`` is written: made of the fields, with examples that are read while it is built."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from quilt_mcp.domain.search.query.field import FIELDS, Field, Holds
from quilt_mcp.domain.search.query.parse import MOST, MOST_DEPTH, MOST_TERMS, parse_query
from quilt_mcp.domain.search.request import SCOPES, Scope

_NOW: Final = datetime(2026, 6, 30, tzinfo=UTC)


class Example(NamedTuple):
    query: str
    finds: str
    scope: Scope = "packages"


_TITLE: Final = "# How to write a search"
_INTRO: Final = (
    "A query is words, phrases, patterns, regular expressions and fields, joined by `AND`, `OR` and `NOT`. What cannot be read, "
    "or would be read as something else than it seems to mean, is an error that says where and what to write instead. An empty "
    "query and `*` find all.",
)

_TEXTS: Final = (
    Example("R01", "the word R01: in `sample_R01.fastq`, not in `R012`"),
    Example("brain organoid", "both words, in any order and place: side by side is AND"),
    Example('"brain organoid"', "a phrase: one right after the other, as in `brain_organoid`"),
    Example("RNA-seq", 'the same as `"RNA seq"`: a word that holds signs is a phrase'),
    Example("R0*", "words that begin with R0"),
    Example("*fastq*", "fastq anywhere, also within a word"),
    Example("R0?", "R0 and one letter or digit more"),
    Example(r"/R0[12]_\d+/", "a regular expression (RE2: no lookaround, no backreferences, no flags), found anywhere"),
    Example(r"/results\/v\d/", "a slash in a regular expression has a backslash before it"),
)  # fmt: skip
_OF_TEXTS: Final = (
    "A word is a run of letters and digits, of any script; all else is a sign, `_` too, and parts words. Letter case never "
    "counts. Words are found whole: what is written without spaces, as Chinese, needs a pattern (`*日本*`) for a part of it. `*` "
    "stands for any letters and signs but spaces and `/`, `?` for one.",
)

_SCOPES: Final = {
    "packages": "A word is looked for in the package's name, message, metadata, README and known table columns, and in the path "
    "and metadata of each of its files; a package is found when one of them has it. Terms on files (`path`, `ext`, `file_size`, "
    "`file_meta`, `file_hash`, `physical_key`) that stand side by side must hold of one and the same file. `NOT` before one says "
    "that no file of the package is so.",
    "entries": "Files in packages. A word is looked for in the file's own path and metadata; what its package must be is "
    "said by the package's fields, as `name:lab/*`.",
    "objects": "Files outside packages, of a bucket or a folder. A word is looked for in the path.",
}
_BY_SCOPE: Final = (
    Example("organoid ext:tif file_size:>1GB", "packages about organoids with a TIFF that is larger than 1 GB"),
    Example("NOT ext:bam", "packages without any BAM file"),
    Example("R01 ext:fastq.gz name:lab/*", "FASTQ files of R01 in packages whose names begin with lab/", "entries"),
    Example("path:raw/** modified:>now-7d", "what was written below raw/ in the last week", "objects"),
)  # fmt: skip

_HOLDS: Final[dict[Holds, str]] = {
    "path": "names between `/`",
    "text": "text",
    "word": "one value, compared whole",
    "number": "number",
    "size": "bytes",
    "time": "time",
    "json": "metadata",
}
_OF_FIELDS: Final = (
    "A field stands before a term, or before several in parentheses; it must be known, and only `meta` and `file_meta` have "
    "fields of their own. `name:a b` asks for a in the name and for b anywhere. Patterns on `name` and `path` follow "
    "the rule of `match`: without a `/` they are matched with a single name anywhere in the path, with one from its "
    "beginning, `*` stays within a name and `**` crosses folders. `[ ]` chooses no letters here.",
)
_BY_FIELD: Final = (
    Example("name:organoid", "the word in the package's name"),
    Example("name:(lab OR core)", "either word in it"),
    Example("path:*.csv", "a file of that ending, in any folder"),
    Example("path:data/**/*R1*", "such a name anywhere below data/"),
    Example("ext:(csv OR fastq.gz)", "files with either ending; `ext:gz` finds fastq.gz, too"),
    Example("hash:1220ab", "a top hash that begins so"),
    Example("meta:organoid", "a word anywhere in the package's metadata"),
    Example("meta./assay/lot:B33", "the word B33 in that value; the field is a JSON pointer (`~1` for a `/` in a name)"),
    Example("meta.assay.lot:B33*", "the same field, by a dot after each name (a backslash before a dot in a name)"),
    Example('"meta./cell line":HeLa', "a name with a space: the field in quotation marks"),
    Example("meta./age:42", "a number there equals 42, also as 42.0; in a text the word 42 is looked for"),
    Example("_exists_:meta./assay/lot", "there is a value, whatever it is; the same as `meta./assay/lot:*`"),
    Example("NOT _exists_:message", "there is none"),
)  # fmt: skip

_RANGES: Final = (
    Example("size:>1MB", "more than a million bytes; k, M, G, T, P are thousands, Ki, Mi, ... 1,024s; no space before the unit"),
    Example("size:[1MB TO 2GB]", "from 1 MB to 2 GB, both ends taken in; `{` and `}` leave them out"),
    Example("entries:[100 TO *]", "`*` is no bound"),
    Example("modified:2026-03", "any time in March 2026; a year, a month and a day stand for all of it (UTC)"),
    Example("modified:[2026-01-01 TO 2026-06-30]", "the last day is taken in whole"),
    Example("modified:>=2026-01-31T09:30+02:00", "a moment; UTC where no zone is named"),
    Example("modified:>now-7d", "in the last 7 days (h, d, w, M of 30 days, y of 365); `now/d` is today"),
    Example("meta./age:[3 TO 5]", "numbers of metadata are compared with numbers, times with times, texts with texts"),
    Example("meta./day:>=2026-01", "a day kept in metadata (a year alone is a number there)"),
    Example("size:(>1MB <5MB)", "several comparisons of one field"),
)  # fmt: skip

_JOINED: Final = (
    Example("a b", "both, as `a AND b`, `a && b` and `+a +b`"),
    Example("a OR b c", "a, or both b and c: AND binds before OR"),
    Example("(a OR b) c", "c, and a or b"),
    Example("a NOT b", "a without b, as `a -b` and `a !b`"),
    Example("NOT (a OR b)", "neither"),
    Example('a "and" b', "operators are in capital letters; in quotation marks they are words"),
)
_SIGNS: Final = (
    r"A backslash before a sign takes its meaning away (`a\*b`, `lab\:x`), and so do quotation marks for all signs but `*`. "
    "A text that holds a colon stands in quotation marks, unless a digit begins it (`12:30`) or `//` follows (`s3://bucket/key`).",
)
_ABSENT: Final = (
    "There is no `~` for what is alike and no `^` that weighs a term: write patterns, or `OR` between spellings. No field is "
    f"named by a pattern. A query has at most {MOST:,} characters, "
    f"{MOST_TERMS} terms and {MOST_DEPTH} parentheses within each other.",
)
_ON_A_STACK: Final = (
    "A stack's own search (`engine: stack`, and `auto` with a stack) is asked the same query, or the call is an error that "
    "names the term and what to write instead. It finds a package where one place of it fits: the name, the message and "
    "metadata, or one file. So these are told or refused:",
    "- Words without a field are looked for in the contents of files and in physical keys, too. Several side by side must "
    "stand in one place; a warning, `same_document`, says so.\n"
    "- Words beside terms on files are refused: write `path:word`. Comparisons and patterns of `name`, `hash`, `message`, "
    "`size`, `entries`, `modified` and one field of metadata may stand beside anything, outside of `OR` and `NOT`; so may "
    "all of `where`.\n"
    "- `NOT` is for fields of packages, and in searches over objects for all.\n"
    "- Regular expressions, `readme`, `column`, fields of `file_meta`, and patterns that reach over several words (`a*b`, "
    "`R0?`) are refused, but for patterns on `path` and `name`.",
    "`engine: local` takes all of the language. With `syntax: stack` the stack reads the query itself, in the language of "
    "its Elasticsearch (`query_string`) and with its own fields, as `content`; by what it does not know it finds nothing.",
)


def syntax_page(*, note: str = "") -> str:
    """Markdown. ``note`` stands below the title. Raises InvalidQuery when an example cannot be read."""
    sections: list[tuple[str, Sequence[str]]] = [
        (_TITLE, [*([note] if note else []), *_INTRO]),
        ("## Words, phrases, patterns", [_examples(_TEXTS), *_OF_TEXTS]),
        (
            "## What is searched",
            [*(f"`scope: {one}`: {_SCOPES[one]}" for one in SCOPES), _examples(_BY_SCOPE)],
        ),
        ("## Fields", [*_OF_FIELDS, _examples(_BY_FIELD), _fields()]),
        ("## Numbers, sizes, times", [_examples(_RANGES)]),
        ("## AND, OR, NOT", [_examples(_JOINED), *_SIGNS]),
        ("## What is not there", _ABSENT),
        ("## On a Quilt stack", _ON_A_STACK),
    ]
    return "\n\n".join(part for title, parts in sections for part in (title, *parts)) + "\n"


def _examples(examples: Iterable[Example]) -> str:
    for one in examples:
        parse_query(one.query, one.scope, _NOW)
    rows = (
        (f"`{one.query}`", one.finds + ("" if one.scope == "packages" else f" (`scope: {one.scope}`)"))
        for one in examples
    )
    return "\n".join(table(("query", "finds"), rows))


def _fields() -> str:
    head = ("field", "searches over", "holds", "which is", "also called")
    return "\n".join(table(head, map(_row, FIELDS)))


def _row(field: Field) -> tuple[str, ...]:
    aliases = ", ".join(f"`{alias}`" for alias in field.aliases)
    return f"`{field.name}`", ", ".join(field.scopes), _HOLDS[field.holds], field.says, aliases


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """The lines of a table in Markdown."""

    def line(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return [line(head), "|" + "---|" * len(head), *(line(row) for row in rows)]
