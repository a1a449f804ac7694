"""A plain scan: what a query means, said again in Python over plain values, and queries made at random.

It shares no code with the product but ``Match``, the rule of patterns of paths.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from quilt_mcp.domain.glob import Match


@dataclass(frozen=True)
class File:
    path: str
    size: int
    meta: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Package:
    name: str
    message: str
    meta: Mapping[str, Any] | None
    files: Sequence[File]
    readme: str = ""
    top_hash: str = ""
    modified: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    @property
    def size(self) -> int:
        return sum(one.size for one in self.files)


# -- what a text holds --


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def has_phrase(text: str, phrase: str) -> bool:
    wanted, there = words(phrase), words(text)
    return any(there[at : at + len(wanted)] == wanted for at in range(len(there) - len(wanted) + 1))


def has_pattern(text: str, pattern: str) -> bool:
    body = "".join({"*": r"[^/\s]*", "?": r"[^/\s]"}.get(one, re.escape(one)) for one in pattern.lower())
    if pattern[0].isalnum() or pattern[0] == "?":
        body = rf"(?<![^\W_]){body}"
    if pattern[-1].isalnum() or pattern[-1] == "?":
        body = rf"{body}(?![^\W_])"
    return re.search(body, text.lower()) is not None


def scalars(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield str(key)
            yield from scalars(member)
    elif isinstance(value, list):
        for member in value:
            yield from scalars(member)
    elif value is not None:
        yield {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def at(value: Any, pointer: str) -> Iterator[Any]:
    """The values at or below a pointer; of a list each element."""
    names = pointer.split("/")[1:]
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    yield from leaves(value)


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for member in value.values():
            yield from leaves(member)
    elif isinstance(value, list):
        for member in value:
            yield from leaves(member)
    elif value is not None:
        yield value


# -- a query: a tuple of its kind and what belongs to it --

Query = tuple[Any, ...]


def text_of(query: Query) -> str:
    """As a person writes it."""
    kind, *rest = query
    match kind:
        case "all":
            return "*"
        case "word" | "pattern":
            return rest[0]
        case "phrase":
            return f'"{rest[0]}"'
        case "regex":
            return f"/{rest[0]}/"
        case "field":
            return f"{rest[0]}:{text_of(rest[1])}"
        case "range":
            return f"{rest[0]}:{rest[1]}{rest[2]}"
        case "between":
            return f"{rest[0]}:[{rest[1]} TO {rest[2]}]"
        case "exists":
            return f"_exists_:{rest[0]}"
        case "not":
            return f"NOT ({text_of(rest[0])})"
        case "and":
            return " ".join(f"({text_of(one)})" for one in rest)
        case _:
            return " OR ".join(f"({text_of(one)})" for one in rest)


def fits(test: Query, text: str, *, is_path: bool = False) -> bool:
    kind, value = test
    match kind:
        case "word" | "phrase":
            return has_phrase(text, value)
        case "pattern":
            return bool(Match(value.lower()).among([text.lower()])) if is_path else has_pattern(text, value)
        case _:
            return re.search(value, text.lower(), re.IGNORECASE) is not None


def compared(value: Any, sign: str, bound: Any) -> bool:
    return {">": value > bound, ">=": value >= bound, "<": value < bound, "<=": value <= bound}[sign]


FILE_FIELDS = ("path", "ext", "file_size", "file_meta")


def of_file(query: Query) -> bool:
    kind, *rest = query
    if kind in ("field", "range", "between", "exists"):
        return rest[0].partition(".")[0].partition("/")[0] in FILE_FIELDS
    return kind in ("and", "or") and all(map(of_file, rest))


def ending(path: str) -> str:
    name = path.lower().rpartition("/")[2]
    found = re.search(r"[^.]\.((?:[a-z0-9]+\.)?(?:gz|bz2|xz|zst)|[^. ]{1,19})$", name)
    return found[1] if found else ""


def file_fits(file: File, query: Query, *, size: str = "file_size") -> bool:
    kind, *rest = query
    match kind:
        case "all":
            return True
        case "and":
            return all(file_fits(file, one, size=size) for one in rest)
        case "or":
            return any(file_fits(file, one, size=size) for one in rest)
        case "not":
            return not file_fits(file, rest[0], size=size)
        case "field" if rest[0] == "path":
            return fits(rest[1], file.path, is_path=True)
        case "field" if rest[0] == "ext":
            return ending(file.path) == rest[1][1] or ending(file.path).endswith(f".{rest[1][1]}")
        case "field" if rest[0] == "file_meta":
            return any(fits(rest[1], one) for one in scalars(file.meta))
        case "range" if rest[0] == size:
            return compared(file.size, rest[1], rest[2])
        case "word" | "phrase" | "pattern" | "regex":
            return fits(query, file.path) or any(fits(query, one) for one in scalars(file.meta))
        case _:
            raise AssertionError(query)


def package_fits(package: Package, query: Query) -> bool:
    kind, *rest = query
    match kind:
        case "all":
            return True
        case "not":
            return not package_fits(package, rest[0])
        case "or":
            return any(package_fits(package, one) for one in rest)
        case "and":
            files = [one for one in rest if of_file(one)]
            others = [one for one in rest if not of_file(one)]
            some = not files or any(all(file_fits(file, one) for one in files) for file in package.files)
            return some and all(package_fits(package, one) for one in others)
    if of_file(query):
        return any(file_fits(file, query) for file in package.files)
    if kind in ("word", "phrase", "pattern", "regex"):
        own = [package.name, package.message, package.readme, *scalars(package.meta)]
        return any(fits(query, one) for one in own) or any(file_fits(one, query) for one in package.files)
    return package_field_fits(package, query)


def package_field_fits(package: Package, query: Query) -> bool:
    kind, field_name, *rest = query
    name, _, pointer = field_name.partition("/")
    pointer = f"/{pointer}" if pointer else ""
    if name.startswith("meta"):
        if kind == "exists":
            return any(True for _ in at(package.meta, pointer))
        if kind == "range":
            numbers = [
                one
                for one in at(package.meta, pointer)
                if isinstance(one, int | float) and not isinstance(one, bool)
            ]
            return any(compared(one, *rest) for one in numbers)
        return any(meta_fits(rest[0], one) for one in at(package.meta, pointer))
    values: dict[str, Any] = {
        "name": package.name, "message": package.message, "readme": package.readme, "size": package.size,
        "entries": len(package.files),
    }  # fmt: skip
    if kind == "range":
        return compared(values[name], *rest)
    if kind == "between":
        return rest[0] <= values[name] <= rest[1]
    if kind == "exists":
        return bool(values[name])
    return fits(rest[0], values[name], is_path=name == "name")


def meta_fits(test: Query, value: Any) -> bool:
    kind, text = test
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and kind == "word"
        and re.fullmatch(r"[\d.]+", text)
    ):
        return float(text) == value
    return fits(test, next(scalars(value)))


# -- made at random --


@dataclass
class Maker:
    seed: int
    scope: str = "packages"
    random: random.Random = field(init=False)

    WORDS = (
        "confocal", "organoid", "fastq", "R01", "R02", "batch", "Zeiss", "qc", "raw", "stack", "sample", "2026", "10x", "äöü",
        "лаб", "数据", "no", "tif", "csv", "nothere", "b33", "growth",
    )  # fmt: skip

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def query(self, depth: int = 2) -> Query:
        roll = self.random.random()
        if depth and roll < 0.35:
            return ("and", *(self.query(depth - 1) for _ in range(self.random.randint(2, 3))))
        if depth and roll < 0.5:
            return ("or", *(self.query(depth - 1) for _ in range(2)))
        if depth and roll < 0.6:
            return ("not", self.query(depth - 1))
        return self.term()

    def text(self) -> Query:
        word = self.random.choice(self.WORDS)
        other = self.random.choice(self.WORDS)
        return self.random.choice(
            [
                ("word", word),
                ("word", word.upper()),
                ("phrase", f"{word} {other}"),
                ("pattern", f"{word[:2]}*"),
                ("pattern", f"*{word[1:]}*"),
                ("pattern", f"{word[:1]}?{word[2:]}*"),
                ("pattern", f"{word}*{other}"),
                ("regex", f"{word[:2].lower()}.*{other[-1].lower()}"),
                ("regex", "r0[12]_"),
            ]
        )

    def term(self) -> Query:
        chosen = self.random.choice
        of_files = [
            (
                "field",
                "path",
                chosen([self.text(), ("pattern", "*.csv"), ("pattern", "raw/*"), ("pattern", "**/*.tif")]),
            ),
            ("field", "ext", ("word", chosen(["csv", "tif", "gz", "fastq.gz"]))),
            (
                "range",
                "size" if self.scope == "entries" else "file_size",
                chosen([">", "<=", ">="]),
                chosen([0, 10, 100]),
            ),
            ("field", "file_meta", ("word", chosen(["well", "A1", "b2"]))),
        ]
        of_packages = [
            (
                "field",
                "name",
                chosen([("word", "lab"), ("pattern", "lab*/*"), ("pattern", "*1*"), ("word", "rna")]),
            ),
            ("field", "message", self.text()),
            ("field", "readme", self.text()),
            ("field", "meta./assay/lot", chosen([("pattern", "b3*"), ("word", "B33"), ("word", "7")])),
            ("range", "meta./count", chosen([">", "<"]), chosen([3, 5])),
            ("exists", chosen(["meta./assay", "meta./nothing", "meta./tags"])),
            ("field", "meta./tags", ("word", chosen(["qc", "raw", "growth"]))),
            ("between", "entries", 2, 6),
            ("range", "size", ">", 100),
        ]
        if self.scope == "entries":
            return self.text() if self.random.random() < 0.5 else chosen(of_files)
        return self.text() if self.random.random() < 0.4 else chosen(of_files + of_packages)


def packages_at_random(seed: int, count: int) -> list[Package]:
    chosen = random.Random(seed)
    found: list[Package] = []
    for number in range(count):
        some = lambda: chosen.choice(Maker.WORDS)  # noqa: E731
        files = {
            chosen.choice(["raw", "data/deep", "QC", "plate_1"])
            + f"/{some()}_{some()}"
            + chosen.choice([".csv", ".fastq.gz", ".tif", "", ".TXT"]): File(
                "", chosen.choice([0, 3, 10, 11, 120]),
                chosen.choice([None, None, {"well": "A1"}, {"well": f"{some()} {some()}", "n": 3}]),
            )
            for _ in range(chosen.randint(0, 8))
        }  # fmt: skip
        if chosen.random() < 0.3:
            files["README.md"] = File("", 0)
        meta = chosen.choice(
            [
                None,
                {"assay": {"lot": chosen.choice(["B33", "b34-x", 7, 7.5])}, "count": chosen.randint(1, 8)},
                {
                    "tags": [some(), some()],
                    "operator": f"{some()} {some()}",
                    "count": str(chosen.randint(1, 8)),
                },
                {"assay": some(), "flag": True, "when": "2026-03-04"},
            ]
        )
        readme = f"# {some()} {some()}\n\nAbout {some()}-{some()}." if "README.md" in files else ""
        found.append(
            Package(
                f"lab{number % 3}/{chosen.choice(['rna', 'dna', 'cells'])}-{number}",
                f"{some()} {some()}, {some()}",
                meta,
                [
                    File(path, len(readme.encode()) if path == "README.md" else one.size, one.meta)
                    for path, one in sorted(files.items())
                ],
                readme,
            )
        )
    return found
