"""What the child's faults mean to who asked. They are data of others, so nothing in them is taken for granted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from quilt_mcp.domain.names import suggest
from quilt_mcp.errors import (
    ColumnNotFound,
    InvalidSql,
    NotSupported,
    QuiltError,
    SqlRefused,
    StorageFull,
    StorageUnavailable,
    TableNotFound,
    TooCostly,
    Undecodable,
)
from quilt_mcp.sql import habits

_CANDIDATES: Final = re.compile(r"Candidate bindings: (.+)")
_COLUMN: Final = re.compile(r'Referenced column "((?:[^"]|"")+)" (?:not found|was not found)')
_CALL: Final = re.compile(r"\bfiles \d+(?=: column)")
_ADDRESS: Final = re.compile(r"qf://([0-9]{1,9})/file\.[a-z]+(?:\.[a-z]+)?")
_IN_JSON: Final = re.compile(r"\bJSON\b[^\n]* in file ")
_DAMAGED: Final = re.compile(
    r"TProtocolException|^(?:Invalid Input Error: )?(?:Out of buffer|don't know what type|Varint-decoding|Incorrect stats size)|"
    r"^Prefetch registered for bytes outside|Parquet metadata is corrupt|Footer length error|Invalid string encoding found in "
    r"Parquet|Failed to read (?:Parquet )?file \"qf:"
)
"""What the engine says of bytes that are not Parquet's, with no word of the file in some of it."""
_ADVICE: Final = re.compile(r"\nPossible |\nTry increasing|\nThe search space")
_LESS: Final = (
    "Ask for less: filter early, name columns instead of *, add LIMIT, or reckon in two steps. engine=athena, where there is "
    "one, has a company's machines."
)


def error_of(sql: str, kind: str, message: str, details: Mapping[str, Any]) -> QuiltError:
    match kind:
        case "syntax":
            return _syntax(sql, message, details.get("position"))
        case "not_one":
            return InvalidSql(message, next_step="Send one statement; WITH joins several steps into one.")
        case "not_a_query":
            said, step = habits.not_a_query(sql)
            return SqlRefused(said, next_step=step, details={"reason": message[:300]})
        case "memory":
            return too_much(message.partition("\n")[0])
        case "full":
            return StorageFull(
                "The server has no room left on its disk for what the query sets aside and for its result.",
                next_step="Free space in its folder for temporary files (TMPDIR names another), or ask for less: filter early, "
                "add LIMIT.",
            )
        case "deep":
            return _too_deep()
        case "wide":
            return TooCostly(
                f"The result has {message} columns, and {details.get('most')} are the most.",
                next_step="Name the columns that are wanted, or UNPIVOT them into rows.",
            )
        case "time":
            return TooCostly(f"The query was stopped: {message}", next_step=_LESS)
        case "declared":
            return Undecodable(
                message,
                next_step="Mend the file, or the table's configuration; with continue_on_error: true a file that does not fit is "
                'left out and told of in "$issue".',
            )
        case "other_kind":
            return Undecodable(
                message,
                next_step="Name it by what it is (.csv.gz, .parquet), or convert it; object_read tells what is in it.",
            )
        case "open_files":
            return no_more_files("its process has as many open as one may")
        case "engine":
            return _of_engine(sql, message, details)
        case _:
            return died()


def with_names(error: QuiltError, names: Mapping[int, str]) -> QuiltError:
    """``names``: of the query's files, in the place of the numbers by which the child knows them."""
    error.message = named(error.message, names)
    error.args = (error.message,)
    return error


def named(said: str, names: Mapping[int, str]) -> str:
    """The same of what the child notes."""
    return _ADDRESS.sub(lambda found: names.get(int(found[1]), found[0]), said)


def died() -> QuiltError:
    return Undecodable(
        "The process that runs the query ended without an answer.",
        next_step="A file may be damaged or hostile (package_verify tells), or the query meets a fault of the engine: write it "
        "another way.",
    )


def no_more_files(said: str) -> StorageUnavailable:
    return StorageUnavailable(
        f"Not all files of the query could be opened: {said}.",
        next_step="Name fewer files, by a narrower pattern or in several queries, or make the same call again in a moment; if it "
        "stays, raise the limit (ulimit -n) and restart.",
    )


def too_much(said: str) -> TooCostly:
    return TooCostly(
        f"The query takes more memory or disk than one may have ({said[:200]}).", next_step=_LESS
    )


def too_long(seconds: float) -> TooCostly:
    return TooCostly(f"The query took longer than {seconds:.3g} s and was stopped.", next_step=_LESS)


def silent(name: str, seconds: float) -> StorageUnavailable:
    return StorageUnavailable(
        f"What holds {name} was silent, so that the query was not done within {seconds:.3g} s and was stopped.",
        next_step="Make the same call again in a moment; engine=athena, where there is one, reads where the data lies.",
    )


def no_table(name: str, known: Iterable[str]) -> TableNotFound:
    names = [*known]
    stems = [one for one in names if one.rpartition("/")[2].partition(".")[0].casefold() == name.casefold()]
    near = [*dict.fromkeys((*stems, *suggest(name, names)))][:3]
    meant = f"Did you mean {' or '.join(map(_quoted, near))}? " if near else ""
    return TableNotFound(
        f"There is no table {name[:200]!r}.",
        next_step=f"{meant}sql_tables lists them. A file of a package is a table where packages names its package: "
        f"FROM 'data/x.csv', or FROM 'ns/name/data/x.csv' with none.{_searched(name)}",
        details={"table": name[:200], "near": near},
    )


def _searched(name: str) -> str:
    """How the packages that have such a file are found, where it is one's name."""
    path = name.strip()
    if not re.fullmatch(r"[\w./-]{1,200}\.\w+", path) or path.startswith("/"):
        return ""
    return f" Which packages have it, search with scope=entries, query='path:{path}' tells."


def one_name(one: str, other: str) -> InvalidSql:
    return InvalidSql(
        f"{one!r} and {other!r} differ in the case of letters alone, and the engine takes them for one table.",
        next_step=f"Read one of them by files('ns/name', {other!r}).",
    )


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[a-z_]+", name) else f"'{name}'"


def _too_deep() -> InvalidSql:
    return InvalidSql(
        "The query, or a value in it, is nested too deeply.",
        next_step="Ask in several steps: WITH parts, lists in place of chains of operators, or several queries.",
    )


def _syntax(sql: str, message: str, position: Any) -> InvalidSql:
    if "expression depth" in message:
        return _too_deep()
    where, more, place = "", {}, None
    if isinstance(position, int):
        before = sql.encode("utf-8", "replace")[: max(0, position)].decode("utf-8", "ignore")
        place = len(before)
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        rest = sql[len(before) :][:40].partition("\n")[0]
        where = f" at line {line}, column {column}{f', before {rest!r}' if rest else ', at the end'}"
        more = {"line": line, "column": column}
    return InvalidSql(
        f"The query does not parse{where}: {message[:300]}",
        next_step=habits.unparsed(sql, message, place),
        details=more,
    )


def _of_engine(sql: str, message: str, details: Mapping[str, Any]) -> QuiltError:
    said = message.partition("LINE ")[0].strip() or message
    if "CSV Error" in said or _IN_JSON.search(said) is not None:
        said = _of_data(said)
    if "expression depth" in message:
        return _too_deep()
    exception, table = str(details.get("exception", "")), details.get("table")
    if _DAMAGED.search(said) is not None:
        return Undecodable(
            f"A Parquet file of the query is damaged: {said[:500]}",
            next_step="package_verify tells whether its bytes are still those of the revision; if they are, it was written so. "
            "object_read shows what can be read of it.",
        )
    if table is not None:
        return _of_file(str(table), said)
    if (column := _COLUMN.search(message)) is not None:
        near = _CANDIDATES.search(message)
        candidates = f"There are {near[1].strip()[:300]}. " if near else ""
        return ColumnNotFound(
            f"No column {column[1]!r} in the tables of this query.",
            next_step=f"{candidates}DESCRIBE FROM <table>, or sql_tables with the same packages, lists all. A text stands in "
            "single quotes.",
            details={"column": column[1][:200]},
        )
    if (
        exception == "IO"
        or (exception == "InvalidInput" and "CSV" in message)
        or _IN_JSON.search(message) is not None
        or ("Parquet" in message and "magic" in message)
    ):
        return _of_file("", said)
    if exception == "NotImplemented":
        return NotSupported(f"DuckDB does not have this: {said[:500]}", next_step="Write it another way.")
    if "lambda" in said and "arrow" in said:
        return InvalidSql(said[:300], next_step="A function of a value is written `lambda x: x + 1`.")
    said = _CALL.sub("files(..)", said)
    if (meant := habits.unbound(sql, message)) is not None:
        return InvalidSql(meant[1] or said[:800], next_step=meant[0])
    for words, step in _STEPS:
        if words in said:
            return InvalidSql(said[:800], next_step=step)
    steps = {
        "Conversion": "TRY_CAST(x AS type) gives NULL for what does not convert; a file's column is read as text with "
        "files(.., all_varchar := true).",
        "OutOfRange": "Cast to a wider type first, such as DOUBLE or HUGEINT.",
    }
    return InvalidSql(
        said[:800], next_step=steps.get(exception, "sql_tables lists tables, columns and types.")
    )


_STEPS: Final = (
    (
        "provided for the following parameters",
        "Give a value for each $name of the query in parameters (one for ? is named 1, 2 and so on).",
    ),
    (
        "count mismatch",
        "Leave out of parameters what the query does not name; $name in it is `name` there, ? is 1, 2 and so on.",
    ),
    (
        "GROUP BY",
        "GROUP BY ALL groups by every column that is no aggregate; any_value(x) takes one value of each group.",
    ),
    (
        "is no whole number, as the first rows",
        "Read that column as text, by files('ns/name', 'path', all_varchar := true), and cast it: x::DOUBLE, x::DECIMAL(18, 3). "
        "Marks for what is not there are NULL by nullstr := ['NA', ''].",
    ),
    (
        "(VARCHAR)'. You might",
        "That column is text: TRY_CAST(x AS DOUBLE) makes numbers, with NULL for what is none; marks such as NA are NULL by "
        "files('ns/name', 'path', nullstr := ['NA', '']), decimal commas by decimal_separator := ','.",
    ),
    ("Python integer too large", "Give such a number as a text, and cast it: $name::BIGNUM."),
    ("Python Conversion Failure", "A value of parameters holds what is no letter; leave it out."),
    ("Division by zero", "x / nullif(y, 0) is NULL there, and so is try(x / y)."),
)
"""What stands in the engine's words, and what helps; its own advice would have settings changed."""
_OF_AN_OPTION: Final = re.compile(
    r"The \w+ option |does not support the encoding|option \w+ (?:requires|expects|must|cannot)", re.I
)


def _of_data(said: str) -> str:
    """With the file that it was in, and without the engine's advice, whose options are others than ours."""
    file = _ADDRESS.search(said)
    short = _ADVICE.split(said, maxsplit=1)[0].strip()
    return short if file is None or file[0] in short else f"{file[0]}: {short}"


def _of_file(table: str, said: str) -> QuiltError:
    table = "files(..)" if re.fullmatch(r"files \d+", table) else table
    named = f"{table}: " if table else ""
    if _OF_AN_OPTION.search(said):
        return InvalidSql(
            f"{named}{said[:500]}",
            next_step="Mend that option of files(..): delim := ';', encoding := 'latin-1', skip := 2.",
        )
    if "Malformed JSON" in said or _IN_JSON.search(said) is not None:
        step = (
            "object_read shows what stands there. files('ns/name', 'path', ignore_errors := true) has NULLs for what cannot be "
            "read."
        )
        said = _ADVICE.split(said, maxsplit=1)[0]
        return Undecodable(f"{named}{said[:700]}", next_step=step, details={"table": table} if table else {})
    encoding = "not utf-8" in said or "unicode" in said.casefold()
    said = _ADVICE.split(said, maxsplit=1)[0]
    ragged = "null_padding := true keeps lines with fewer or more cells, ignore_errors := true leaves them out and counts them"
    step = (
        "Read it as another encoding: files('ns/name', 'path', encoding := 'latin-1'), or 'utf-16'."
        if encoding
        else f"object_read with rows shows what stands there. Of files('ns/name', 'path', ..), {ragged}; skip := 1 passes "
        "over a line above the header, delim, header and all_varchar read it otherwise."
    )
    return Undecodable(f"{named}{said[:700]}", next_step=step, details={"table": table} if table else {})
