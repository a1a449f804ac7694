"""Gate: of what a caller writes in Athena's own SQL, one query that reads passes, and nothing else.

The text is cut into words as Athena cuts it and written anew from them without comments; sqlglot reads that text, and has to find
the same quoted texts and names in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from quilt_mcp.athena.tabulator import in_its_catalog
from quilt_mcp.athena.translate import MOST_SENT, literal_of
from quilt_mcp.athena.words import Word, words_of, written
from quilt_mcp.errors import InvalidArgument, NotSupported, TooLarge

_READ_ONLY: Final = (
    "Write one SELECT, WITH, VALUES, SHOW, DESCRIBE or EXPLAIN; nothing is changed by SQL here."
)
_DO: Final = {
    "UNLOAD": "writes files",
    "CREATE": "makes something",
    "INSERT": "writes rows",
    "DELETE": "deletes rows",
    "UPDATE": "changes rows",
    "MERGE": "changes rows",
    "DROP": "deletes something",
    "ALTER": "changes something",
    "TRUNCATE": "deletes rows",
    "MSCK": "changes a table's partitions",
    "VACUUM": "deletes files of a table",
    "OPTIMIZE": "rewrites files of a table",
    "PREPARE": "keeps a statement for later",
    "EXECUTE": "runs a statement that is not seen here",
    "DEALLOCATE": "deletes a statement that was kept",
    "CALL": "runs a procedure",
    "USING": "calls an external function",
    "GRANT": "changes who may do what",
    "REVOKE": "changes who may do what",
    "SET": "changes the session",
    "RESET": "changes the session",
    "USE": "changes the session",
    "COMMENT": "changes a comment",
    "ANALYZE": "writes statistics",
    "REFRESH": "rewrites a view",
    "START": "begins a transaction",
    "COMMIT": "ends a transaction",
    "ROLLBACK": "ends a transaction",
    "DENY": "changes who may do what",
    "LOAD": "loads data",
    "EXPORT": "writes files",
    "IMPORT": "loads data",
    "COPY": "writes files",
    "ATTACH": "opens a database",
    "LOCK": "locks a table",
}
_SHOWN: Final = {
    *(
        ("TABLES",),
        ("DATABASES",),
        ("SCHEMAS",),
        ("COLUMNS",),
        ("PARTITIONS",),
        ("TBLPROPERTIES",),
        ("VIEWS",),
    ),
    *(("CREATE", "TABLE"), ("CREATE", "VIEW")),
}
_QUOTED: Final = (TokenType.STRING, TokenType.IDENTIFIER, TokenType.HEX_STRING)
_QUERIES: Final = (exp.Select, exp.SetOperation, exp.Values, exp.Subquery)
_ACTS: Final = (
    *(
        exp.Insert,
        exp.Update,
        exp.Delete,
        exp.Merge,
        exp.Create,
        exp.Drop,
        exp.Alter,
        exp.Copy,
        exp.Command,
        exp.Into,
        exp.Set,
    ),
    *(
        exp.Use,
        exp.TruncateTable,
        exp.LoadData,
        exp.Export,
        exp.Lock,
        exp.Pragma,
        exp.Attach,
        exp.Detach,
        exp.Kill,
        exp.Grant,
    ),
)


@dataclass(frozen=True, slots=True)
class Passed:
    """``sql`` is what may be sent. ``is_free``: Athena does not charge for it."""

    sql: str
    is_free: bool = False


def pass_read_only(
    sql: str,
    catalogs: Sequence[str],
    parameters: Mapping[str, Any] | Sequence[Any] = (),
    *,
    bucket: str = "",
) -> Passed:
    """Raises NotSupported for what is no query that reads, InvalidArgument for what cannot be read, TooLarge. ``catalogs`` are
    those that may be named; others may be doors to code of somebody else's. ``bucket``: whose Tabulator tables are meant where
    none is named."""
    if len(sql.encode("utf-8", "replace")) > MOST_SENT:
        raise TooLarge("The query is longer than the 256 KiB that Athena takes.", next_step="Shorten it.")
    words = words_of(sql)
    while words and words[-1].text == ";":
        words.pop()
    if not words:
        raise InvalidArgument("There is no query.", next_step=_READ_ONLY)
    if any(one.text == ";" for one in words):
        raise NotSupported(
            "One statement is asked at a time.", next_step="Send each by itself, without ';' between."
        )
    words = _with_parameters(words, parameters)
    try:
        return _pass(words, frozenset(one.lower() for one in catalogs), bucket)
    except RecursionError:
        raise InvalidArgument("The query is nested too deeply.", next_step="Write it flatter.") from None


def _pass(words: list[Word], catalogs: frozenset[str], bucket: str) -> Passed:
    first = words[0].text.upper()
    if first in _DO:
        raise _refused(first, _DO[first])
    if first == "EXPLAIN":
        return Passed(f"EXPLAIN {written(_explained(words, catalogs, bucket))}", is_free=not _analyzes(words))
    if first in ("SHOW", "DESCRIBE", "DESC"):
        return _described(words)
    if first not in ("SELECT", "WITH", "VALUES", "("):
        raise _refused(words[0].text[:40], "begins no query that reads")
    if any(one.text.startswith("`") for one in words):
        raise InvalidArgument("`..` is no name in a query of Athena's.", next_step='Quote names as "name".')
    text = written(words)
    try:
        found = [one for one in sqlglot.parse(text, read="athena") if one is not None]
    except SqlglotError as error:
        raise InvalidArgument(
            f"The query cannot be read: {str(error).splitlines()[0][:300]}",
            next_step="Write one SELECT in Athena's own SQL.",
        ) from error
    if len(found) != 1 or not isinstance(found[0], _QUERIES):
        raise _refused(first, "is no query that reads")
    _check_words(words, text)
    if (spelled := in_its_catalog(found[0], text, catalogs, bucket)) != text:
        return _pass(words_of(spelled), catalogs, bucket)
    _check_tree(found[0], words, catalogs)
    return Passed(text)


def _refused(what: str, why: str) -> NotSupported:
    return NotSupported(
        f"{what} {why}, and SQL here only reads.", next_step=_READ_ONLY, details={"statement": what}
    )


def _analyzes(words: list[Word]) -> bool:
    return len(words) > 1 and words[1].text.upper() == "ANALYZE"


def _explained(words: list[Word], catalogs: frozenset[str], bucket: str) -> list[Word]:
    """What follows EXPLAIN, with its options."""
    at = 1
    if _analyzes(words):
        at += 1
        if len(words) > at and words[at].text.upper() == "VERBOSE":
            at += 1
    if (
        len(words) > at
        and words[at].text == "("
        and len(words) > at + 1
        and words[at + 1].text.upper() in ("FORMAT", "TYPE")
    ):
        end = next((n for n in range(at, len(words)) if words[n].text == ")"), None)
        if end is None or any(one.kind not in ("word", "sign") for one in words[at:end]) or end - at > 8:
            raise InvalidArgument(
                "The options of EXPLAIN cannot be read.", next_step="Write EXPLAIN SELECT .."
            )
        at = end + 1
    rest = words[at:]
    if not rest or rest[0].text.upper() in ("EXPLAIN", "SHOW", "DESCRIBE", "DESC"):
        raise _refused("EXPLAIN", "of this is no query that reads")
    first, *others = words_of(_pass(rest, catalogs, bucket).sql)
    return [*words[1:at], replace(first, spaced=True), *others]


def _described(words: list[Word]) -> Passed:
    """Names and patterns alone may follow."""
    upper = [one.text.upper() for one in words]
    if upper[0] == "SHOW" and tuple(upper[1:2]) not in _SHOWN and tuple(upper[1:3]) not in _SHOWN:
        raise _refused(" ".join(upper[:2]), "is not among what may be shown")
    if upper[0] != "SHOW" and upper[1:2] in (["INPUT"], ["OUTPUT"]):
        raise _refused("DESCRIBE INPUT", "is of a statement that was kept")
    allowed = {".", ",", "(", ")", "="}
    if len(words) < 2 or any(one.kind == "sign" and one.text not in allowed for one in words):
        raise InvalidArgument(
            "What is to be shown cannot be read.",
            next_step="Write SHOW TABLES IN database, or DESCRIBE table.",
        )
    if any(
        one.upper() in _DO and one.upper() not in ("CREATE",)
        for one in (word.text for word in words[1:] if word.kind == "word")
    ):
        raise _refused(upper[0], "of this is no question")
    return Passed(written(words), is_free=True)


def _check_words(words: list[Word], text: str) -> None:
    """sqlglot has to see the same texts and quoted names."""
    try:
        tokens = sqlglot.tokenize(text, read="athena")
    except SqlglotError as error:
        raise InvalidArgument(
            "The query cannot be cut into words.", next_step="Write Athena's own SQL."
        ) from error
    theirs = [one.text for one in tokens if one.token_type in _QUOTED]
    ours = [one.value for one in words if one.kind in ("text", "name")]
    if ours != theirs:
        raise InvalidArgument(
            "Quotes in the query can be read in two ways.",
            next_step="Write a quote within '..' as '', without backslashes.",
        )


def _check_tree(tree: Any, words: list[Word], catalogs: frozenset[str]) -> None:
    for node in tree.walk():
        if isinstance(node, _ACTS):
            raise _refused(node.key.upper(), "writes or changes something")
        if isinstance(node, exp.Table):
            _check_table(node, catalogs)
        if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Func):
            raise NotSupported(
                f"{node.sql('athena')[:60]} is a function of a catalog.",
                next_step="Call Athena's own functions alone.",
            )
        if isinstance(node, exp.Anonymous | exp.Identifier) and node.name.upper() == "EXTERNAL_QUERY":
            raise NotSupported("external_query runs a query elsewhere.", next_step="Leave it out.")
    for before, after in pairwise(words):
        word = before.text.upper()
        if before.kind == "word" and after.text == "(" and word == "TABLE":
            raise _no_table_function()
        if word == "EXTERNAL" and after.text.upper() == "FUNCTION":
            raise _refused("EXTERNAL FUNCTION", "calls code of somebody else's")
        if word == "WITH" and after.text.upper() in ("FUNCTION", "SESSION"):
            raise _refused("WITH FUNCTION", "makes functions")
        if word == "FINAL" and after.text.upper() == "TABLE":
            raise _refused("FINAL TABLE", "holds a statement that writes")
        if word == "UNLOAD" and after.text == "(":
            raise _refused("UNLOAD", _DO["UNLOAD"])


def _no_table_function() -> NotSupported:
    return NotSupported(
        "A table function runs what is not seen here.",
        next_step="Name tables in FROM; UNNEST and VALUES are fine.",
    )


def _check_table(node: Any, catalogs: frozenset[str]) -> None:
    inner = node.this
    while isinstance(inner, exp.Dot):
        inner = inner.expression
    if not isinstance(inner, exp.Identifier):
        raise _no_table_function()
    if isinstance(node.this, exp.Dot):
        raise InvalidArgument(
            "A table has a catalog, a database and a name at most.", next_step="Write three names."
        )
    catalog = node.catalog
    if catalog and catalog.lower() not in catalogs:
        named = ", ".join(sorted(catalogs)) or "none"
        raise NotSupported(
            f"The catalog {catalog} is not among those that may be asked: {named}.",
            next_step="Leave the catalog out, or have whoever runs the server set QUILT_MCP_ATHENA_CATALOG.",
            details={"catalog": catalog},
        )


def _with_parameters(words: list[Word], parameters: Mapping[str, Any] | Sequence[Any]) -> list[Word]:
    """``?`` and ``$name`` become literals."""
    is_named = isinstance(parameters, Mapping)
    given: dict[str, Any] = (
        dict(parameters) if is_named else {str(n): value for n, value in enumerate(parameters, 1)}
    )
    made: list[Word] = []
    used = set[str]()
    count = at = 0
    while at < len(words):
        word = words[at]
        name = ""
        if word.text == "?":
            count += 1
            name = str(count)
        elif word.text == "$" and at + 1 < len(words) and words[at + 1].kind == "word":
            at += 1
            name = words[at].text
        at += 1
        if not name:
            made.append(word)
            continue
        if name not in given:
            raise InvalidArgument(f"The parameter {name} has no value.", next_step="Give it in parameters.")
        used.add(name)
        literal = words_of(literal_of(given[name], name).sql("athena"))
        made += [Word(one.kind, one.text, one.spaced or number == 0) for number, one in enumerate(literal)]
    if left := sorted(given.keys() - used):
        raise InvalidArgument(
            f"No parameter {', '.join(left)} stands in the query.", next_step="Leave it out of parameters."
        )
    return made
