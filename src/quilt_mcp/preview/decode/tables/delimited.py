"""Tables as lines of cells: CSV and TSV, and the tab-separated formats of the field (VCF, GFF, BED, SAM)."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from quilt_mcp.preview.decode.file import Fault, File
from quilt_mcp.preview.decode.tables.text_table import BEGINNING, Row, kind_of
from quilt_mcp.preview.decode.text import Text

_SAMPLE = 64 << 10
_SAMPLED_LINES = 50
_LONGEST_CELL = 32 << 20
_MOST_COLUMNS = 100_000
_MOST_FAULTS = 20


@dataclass(frozen=True, slots=True)
class Form:
    """How a format writes a table. ``delimiter`` None: looked for. ``comment``: how lines that are no rows begin; without one,
    lines that begin with # are passed over at the top only. ``header``: its columns, where no line names them."""

    delimiter: str | None = None
    comment: str | None = None
    header: tuple[str, ...] | None = None
    has_quotes: bool = True


_GFF = ("seqid", "source", "type", "start", "end", "score", "strand", "phase", "attributes")
_BED = (
    *("chrom", "chromStart", "chromEnd", "name", "score", "strand", "thickStart", "thickEnd", "itemRgb"),
    *("blockCount", "blockSizes", "blockStarts"),
)
_SAM = ("QNAME", "FLAG", "RNAME", "POS", "MAPQ", "CIGAR", "RNEXT", "PNEXT", "TLEN", "SEQ", "QUAL")
FORMS = {
    "csv": Form(),
    "tsv": Form("\t"),
    "vcf": Form("\t", "##", has_quotes=False),
    "gff": Form("\t", "#", _GFF, has_quotes=False),
    "bed": Form("\t", "#", _BED, has_quotes=False),
    "sam": Form("\t", "@", _SAM, has_quotes=False),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """How one file writes its table. ``skipped``: lines before the first row or the header."""

    form: Form
    delimiter: str
    columns: list[str]
    has_header: bool
    skipped: int
    notes: list[str]

    @classmethod
    def of(cls, file: File, form: Form) -> Layout:
        """From the first lines that are no comments. Raises Fault when there are none."""
        skipped, lines = _first_lines(Text(file, BEGINNING, has_zeros=True), form)
        if not lines:
            skipped, lines = _first_lines(Text(file, has_zeros=True), form)
        delimiter = form.delimiter or _delimiter(lines)
        rows = [cells for cells in _reader(lines, delimiter, form) if cells]
        if not rows:
            raise Fault("not_a_table", "It has no rows: it is empty, or holds nothing but comments.")
        if len(rows[0]) > _MOST_COLUMNS:
            raise Fault("too_costly", f"It has more than {_MOST_COLUMNS:,} columns.")
        notes: list[str] = []
        has_header = form.header is None and not _is_data(rows)
        if form.header is not None:
            more = (f"column{number + 1}" for number in range(len(form.header), len(rows[0])))
            columns = [*form.header, *more][: len(rows[0])]
        elif has_header:
            columns = _once([rows[0][0].strip().lstrip("#"), *(name.strip() for name in rows[0][1:])], notes)
        else:
            columns = [f"column{number + 1}" for number in range(len(rows[0]))]
            notes.append("no_header: its first line looks like data, so its columns are numbered.")
        return cls(form, delimiter, columns, has_header, skipped, notes)


class _Reader(Protocol):
    """What ``csv.reader`` makes."""

    @property
    def line_num(self) -> int: ...

    def __iter__(self) -> Iterator[list[str]]: ...

    def __next__(self) -> list[str]: ...


class Delimited:
    """See ``text_table.Reading``."""

    def __init__(self, file: File, layout: Layout, most: int | None) -> None:
        csv.field_size_limit(_LONGEST_CELL)
        self._text = Text(file, most, has_zeros=True)
        self._layout = layout
        self.columns = layout.columns
        self.faults: list[str] = []

    @property
    def is_cut(self) -> bool:
        return self._text.plain.is_cut

    def notes(self) -> list[str]:
        return [*self._text.notes(), *self._layout.notes]

    def rows(self) -> Iterator[Row]:
        """The last row of a beginning is left out, as it may be half a one."""
        layout = self._layout
        lines: Iterable[str] = islice(self._text.stream, layout.skipped, None)
        if (comment := layout.form.comment) is not None:
            # An empty line instead, so that lines are numbered as they stand in the file.
            lines = ("\n" if line.startswith(comment) else line for line in lines)
        reader = _reader(lines, layout.delimiter, layout.form)
        width, skipped = len(layout.columns), layout.skipped
        cells: list[str] = []
        number = 0
        try:
            if layout.has_header:
                next(reader, None)
            for following in reader:
                if number:
                    yield (
                        skipped + number,
                        cells if len(cells) == width else self._fitted(cells, skipped + number),
                    )
                if following and (width == 1 or len(following) > 1 or following[0].strip()):
                    cells, number = following, reader.line_num
                else:
                    number = 0
        except csv.Error as error:
            raise Fault("undecodable", f"Line {skipped + reader.line_num} cannot be read: {error}.") from None
        if number and not self.is_cut:
            yield skipped + number, cells if len(cells) == width else self._fitted(cells, skipped + number)

    def _fitted(self, cells: list[str], line: int) -> list[str]:
        """A row of another width is told of, and kept: what is missing is empty, what is too much is left out."""
        width = len(self.columns)
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(f"line {line}: {len(cells)} cells, not {width}")
        return cells[:width] + [""] * (width - len(cells))


def _reader(lines: Iterable[str], delimiter: str, form: Form) -> _Reader:
    quoting = csv.QUOTE_MINIMAL if form.has_quotes else csv.QUOTE_NONE
    return csv.reader(lines, delimiter=delimiter, quoting=quoting)


def _first_lines(text: Text, form: Form) -> tuple[int, list[str]]:
    """How many comments and empty lines stand at the top, and the lines after them."""
    skipped, size = 0, 0
    lines: list[str] = []
    for line in text.stream:
        if not lines and (not line.strip() or line.startswith(form.comment or "#")):
            skipped += 1
            continue
        lines.append(line)
        size += len(line)
        if len(lines) > _SAMPLED_LINES or size > _SAMPLE:
            return skipped, lines[:-1] if len(lines) > 1 else lines
    return skipped, lines


def _once(names: Sequence[str], notes: list[str]) -> list[str]:
    """The names, those that stand twice or not at all with a number."""
    kept: dict[str, None] = {}
    renamed: list[str] = []
    for place, name in enumerate(names, 1):
        bare = name or f"column{place}"
        one, number = bare, 2
        while one in kept:
            one, number = f"{bare}_{number}", number + 1
        if one != name:
            renamed.append(one)
        kept[one] = None
    if renamed:
        notes.append(
            f"renamed_columns: names that stand twice or not at all became {', '.join(renamed[:10])[:300]}."
        )
    return list(kept)


def _delimiter(lines: Sequence[str]) -> str:
    """Of comma, tab, semicolon and bar the one that cuts most lines into the same number of cells, at least two."""
    best, best_score = ",", 0.0
    for one in ",\t;|":
        try:
            widths = Counter(len(cells) for cells in csv.reader(lines, delimiter=one) if cells)
        except csv.Error:
            continue
        width, count = widths.most_common(1)[0] if widths else (1, 0)
        score = count * min(width, 8) ** 0.5 if width > 1 else 0.0
        if score > best_score:
            best, best_score = one, score
    return best


def _is_data(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row has numbers where those below it have: years as names of columns are none."""
    first, rest = rows[0], rows[1:6]
    numbers = [place for place, cell in enumerate(first) if _is_number(cell)]
    if not numbers or (
        rest and len(numbers) < len(first) and all(_is_year(first[place]) for place in numbers)
    ):
        return False
    return all(place >= len(cells) or _is_number(cells[place], True) for cells in rest for place in numbers)


def _is_number(cell: str, or_missing: bool = False) -> bool:
    kind = kind_of(cell.strip())
    return kind in ("BIGINT", "DOUBLE") or (or_missing and kind is None)


def _is_year(cell: str) -> bool:
    return cell.strip().isdigit() and 1900 <= int(cell.strip()[:9]) <= 2100
