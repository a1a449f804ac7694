"""Rules for text: pieces of it, and regular expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlglot import exp

from quilt_mcp.athena.rules.kinds import (
    as_text,
    binary,
    call,
    coalesce,
    either,
    is_null,
    kind_of,
    literal_text,
    number,
    require,
    text,
    typed,
    whole,
)
from quilt_mcp.athena.rules.patterns import (
    escaped_for_like,
    is_anchored,
    like_pattern,
    pattern_in_athena,
    quoted_for_class,
    replacement_in_athena,
)
from quilt_mcp.athena.rules.refusal import refusal

_TEXT: Final = {"text"}


def _literal(node: Any, what: str) -> str:
    found = literal_text(node)
    if found is None:
        raise refusal(
            f"{what} that is not written out",
            "it has to be looked at to be translated",
            "Write it as a literal",
        )
    return found


def _pattern(node: Any, options: Any = None) -> Any:
    options_text = "" if options is None else _literal(options, "Options of a regular expression")
    if options_text not in ("", "i", "c"):
        raise refusal(
            f"The options {options_text!r} of a regular expression",
            "only 'i' is the same there",
            "Leave them out",
        )
    flag = "(?i)" if options_text == "i" else ""
    return text(flag + pattern_in_athena(_literal(node, "A regular expression")))


def _empty_for_none(source: Any, found: Any) -> Any:
    """DuckDB answers '' where Athena answers NULL, and NULL for NULL."""
    return either(is_null(source), exp.Null(), coalesce(found, text(""), kind="text"), "text")


def concat(node: exp.Concat) -> Any:
    given = [as_text(one, "concat") for one in node.expressions]
    parts = [one if literal_text(one) is not None else coalesce(one, text(""), kind="text") for one in given]
    found = parts[0]
    for one in parts[1:]:
        found = _joined(found, one)
    return found


def _joined(left: Any, right: Any) -> Any:
    return typed(exp.DPipe(this=left.copy(), expression=right.copy(), safe=False), "text")


def pipes(node: exp.DPipe) -> Any:
    if {kind_of(node.left), kind_of(node.right)} == {"list"}:
        return call("CONCAT", node.left, node.right, kind="list")
    return _joined(as_text(node.left, "||"), as_text(node.right, "||"))


def concat_ws(node: exp.ConcatWs) -> Any:
    return call("CONCAT_WS", *(as_text(one, "concat_ws") for one in node.expressions), kind="text")


def length(node: exp.Length) -> Any:
    if kind_of(node.this) == "list":
        return call("CARDINALITY", node.this, kind="int")
    return call("LENGTH", require(node.this, _TEXT, "The length"), kind="int")


def substring(node: exp.Substring) -> Any:
    require(node.this, _TEXT, "A part")
    start, size = node.args.get("start"), node.args.get("length")
    first, many = whole(start), None if size is None else whole(size)
    if size is not None and many is None and isinstance(size, exp.Literal | exp.Neg):
        raise refusal("substring by a number that is not whole", "it is an error there")
    if many is not None and many < 0:
        raise refusal("substring of a negative length", "it is empty there", "Give a length of 0 or more")
    if first is not None and first < 0 and size is None:
        return _last(node.this, -first)
    if first is None and not _is_positive(start):
        raise refusal(
            "substring from a place that may be 0 or negative",
            "what lies before the text counts otherwise there",
            "Begin at greatest(.., 1), at strpos(..) + 1, or use split_part",
        )
    if first is not None and first < 1:
        raise refusal(f"substring from {first}", "places before the text count otherwise there", "Begin at 1")
    if size is not None and many is None:
        size = call("GREATEST", size, number(0), kind="int")
    return call("SUBSTR", node.this, start, *([] if size is None else [size]), kind="text")


def _is_positive(node: Any) -> bool:
    match node:
        case exp.Paren() | exp.Alias():
            return _is_positive(node.this)
        case exp.Add():
            return (_is_count(node.left) and (whole(node.right) or 0) > 0) or (
                _is_count(node.right) and (whole(node.left) or 0) > 0
            )
        case exp.Anonymous() if node.name == "COALESCE":  # greatest(a, 1), as it is written by then
            return node.meta.get("least", 0) >= 1
        case _:
            return False


def _is_count(node: Any) -> bool:
    return isinstance(node, exp.Anonymous) and node.name in ("STRPOS", "LENGTH", "CARDINALITY")


def _last(source: Any, many: int) -> Any:
    size = call("LENGTH", source, kind="int")
    start = call("GREATEST", exp.Sub(this=size, expression=number(many - 1)), number(1), kind="int")
    return call("SUBSTR", source, start, kind="text")


def left(node: exp.Left) -> Any:
    many = whole(node.expression)
    if many is None or many < 0:
        raise refusal("left by a number that is negative or not written out", "it counts otherwise there")
    return call("SUBSTR", require(node.this, _TEXT, "left"), number(1), number(many), kind="text")


def right(node: exp.Right) -> Any:
    many = whole(node.expression)
    if many is None or many < 1:
        raise refusal("right by a number that is below 1 or not written out", "it counts otherwise there")
    return _last(require(node.this, _TEXT, "right"), many)


def trim(node: exp.Trim) -> Any:
    """Spaces alone: Athena's own takes tabs and line breaks, too."""
    letters = node.args.get("expression")
    of = r"\p{Zs}" if letters is None else quoted_for_class(_literal(letters, "What is trimmed"))
    if not of:
        return node.this
    sides = {"LEADING": f"^[{of}]+", "TRAILING": f"[{of}]+\\z"}
    pattern = sides.get(str(node.args.get("position", "")).upper()) or "|".join(sides.values())
    return call("REGEXP_REPLACE", require(node.this, _TEXT, "trim"), text(pattern), text(""), kind="text")


def split(node: exp.Split) -> Any:
    separator = _literal(node.expression, "The separator of split")
    if not separator:
        raise refusal("split by ''", "it is an error there", "Give a separator")
    return call("SPLIT", require(node.this, _TEXT, "split"), text(separator), kind="list")


def split_part(node: exp.SplitPart) -> Any:
    separator = _literal(node.args["delimiter"], "The separator of split_part")
    place = whole(node.args["part_index"])
    if not separator or not place:
        raise refusal("split_part by '' or by a number that is 0 or not written out", "it is an error there")
    source = require(node.this, _TEXT, "split_part")
    if place > 0:
        return _empty_for_none(
            source, call("SPLIT_PART", source, text(separator), number(place), kind="text")
        )
    parts = call("SPLIT", source, text(separator), kind="list")
    return _empty_for_none(source, call("ELEMENT_AT", parts, number(place), kind="text"))


def replace(node: exp.Replace) -> Any:
    if not _literal(node.expression, "What replace looks for"):
        return node.this
    made = as_text(node.args["replacement"], "replace")
    return call("REPLACE", require(node.this, _TEXT, "replace"), node.expression, made, kind="text")


def pad(node: exp.Pad) -> Any:
    fill = _literal(node.args.get("fill_pattern"), "What is padded with")
    size = whole(node.expression)
    if not fill or size is None or size < 0:
        raise refusal("lpad and rpad by '' or to a length that is not written out", "it is an error there")
    name = "LPAD" if node.args.get("is_left") else "RPAD"
    return call(name, require(node.this, _TEXT, name.lower()), number(size), text(fill), kind="text")


def position(node: exp.StrPosition) -> Any:
    require(node.this, _TEXT, "strpos")
    return call("STRPOS", node.this, require(node.args["substr"], _TEXT, "strpos"), kind="int")


def contains(node: Any) -> Any:
    """Of text or of a list."""
    if kind_of(node.this) == "list":
        from quilt_mcp.athena.rules.lists import list_contains

        return list_contains(node)
    require(node.this, _TEXT, "contains")
    found = call("STRPOS", node.this, require(node.expression, _TEXT, "contains"), kind="int")
    return binary(exp.GT, found, number(0))


def starts_with(source: Any, beginning: Any) -> Any:
    return call(
        "STARTS_WITH",
        require(source, _TEXT, "starts_with"),
        require(beginning, _TEXT, "starts_with"),
        kind="bool",
    )


def ends_with(source: Any, ending: Any) -> Any:
    """There is none in Athena. From a place before the text, fewer letters than the ending has are left."""
    require(source, _TEXT, "ends_with")
    written = literal_text(ending)
    if written is not None:
        return _like(source, text("%" + escaped_for_like(written)))
    size, more = (
        call("LENGTH", source, kind="int"),
        call("LENGTH", require(ending, _TEXT, "ends_with"), kind="int"),
    )
    start = exp.Add(this=exp.Sub(this=size, expression=more), expression=number(1))
    return binary(exp.EQ, call("SUBSTR", source, start, kind="text"), ending)


def _like(source: Any, pattern: Any) -> Any:
    like: Any = exp.Like(this=source.copy(), expression=pattern.copy())
    if "\\" in str(pattern.this):
        like = exp.Escape(this=like, expression=text("\\"))
    return typed(exp.Paren(this=like), "bool")


def like(node: exp.Like) -> Any:
    require(node.this, _TEXT, "LIKE", "CAST it to VARCHAR")
    require(node.expression, _TEXT, "LIKE")
    return node


def ilike(node: exp.ILike) -> Any:
    require(node.this, _TEXT, "ILIKE", "CAST it to VARCHAR")
    if isinstance(node.parent, exp.Escape):
        raise refusal("ILIKE with ESCAPE", "there is no ILIKE there", "Write lower(..) LIKE .. ESCAPE ..")
    lowered = [call("LOWER", one, kind="text") for one in (node.this, node.expression)]
    found = typed(exp.Paren(this=exp.Like(this=lowered[0], expression=lowered[1])), "bool")
    return typed(exp.Not(this=found), "bool") if node.args.get("negate") else found


def glob(node: exp.Glob) -> Any:
    return _like(
        require(node.this, _TEXT, "GLOB"), text(like_pattern(_literal(node.expression, "GLOB's pattern")))
    )


def regexp_like(node: exp.RegexpLike) -> Any:
    pattern = _pattern(node.expression, node.args.get("flag"))
    return call("REGEXP_LIKE", require(node.this, _TEXT, "A regular expression"), pattern, kind="bool")


def regexp_ilike(node: exp.RegexpILike) -> Any:
    return call(
        "REGEXP_LIKE", require(node.this, _TEXT, "~*"), _pattern(node.expression, text("i")), kind="bool"
    )


def regexp_full_match(node: Any) -> Any:
    options = node.args.get("options") or node.args.get("flag")
    pattern = str(_pattern(node.expression, options).this)
    flag, rest = ("(?i)", pattern[4:]) if pattern.startswith("(?i)") else ("", pattern)
    whole_text = text(f"{flag}\\A(?:{rest})\\z")
    return call("REGEXP_LIKE", require(node.this, _TEXT, "regexp_full_match"), whole_text, kind="bool")


def regexp_replace(node: exp.RegexpReplace) -> Any:
    pattern = _literal(node.expression, "A regular expression")
    options = node.args.get("modifiers")
    options_text = "" if options is None else _literal(options, "Options of a regular expression")
    if "g" not in options_text and not is_anchored(pattern):
        raise refusal(
            "regexp_replace without 'g'",
            "the first alone is replaced here, and all there",
            "Give 'g' as the fourth argument",
        )
    rest = options_text.replace("g", "")
    replacement = replacement_in_athena(_literal(node.args["replacement"], "A replacement"))
    source = require(node.this, _TEXT, "regexp_replace")
    return call(
        "REGEXP_REPLACE", source, _pattern(node.expression, text(rest)), text(replacement), kind="text"
    )


def regexp_extract(node: exp.RegexpExtract) -> Any:
    group = 0 if node.args.get("group") is None else whole(node.args["group"])
    if group is None:
        raise refusal(
            "regexp_extract with named groups",
            "there are no structs of them there",
            "Give the number of one group",
        )
    source = require(node.this, _TEXT, "regexp_extract")
    pattern = _pattern(node.expression, node.args.get("parameters"))
    return _empty_for_none(source, call("REGEXP_EXTRACT", source, pattern, number(group), kind="text"))


def regexp_extract_all(node: exp.RegexpExtractAll) -> Any:
    if whole(node.args.get("group")) not in (None, 0) or node.args.get("parameters") is not None:
        raise refusal(
            "regexp_extract_all of a group",
            "a group that fits nothing is '' here and NULL there",
            "Take group 0",
        )
    source = require(node.this, _TEXT, "regexp_extract_all")
    return call("REGEXP_EXTRACT_ALL", source, _pattern(node.expression), kind="list")


def _lower(node: Any) -> Any:
    return call("LOWER", require(node.this, _TEXT, "lower"), kind="text")


def _upper(node: Any) -> Any:
    return call("UPPER", require(node.this, _TEXT, "upper"), kind="text")


def _bytes_of(source: Any, what: str) -> Any:
    return call("TO_UTF8", require(source, _TEXT, what), kind="unknown")


def _digest(name: str) -> Callable[[Any], Any]:
    def rule(node: Any) -> Any:
        digest = call(name, _bytes_of(node.this, name.lower()), kind="unknown")
        return call("LOWER", call("TO_HEX", digest, kind="text"), kind="text")

    return rule


def _strlen(source: Any) -> Any:
    return call("LENGTH", _bytes_of(source, "strlen"), kind="int")


def sha2(node: exp.SHA2) -> Any:
    if whole(node.args.get("length")) not in (None, 256):
        raise refusal("Any SHA-2 but sha256", "it is not among what is known to be equal")
    return _digest("SHA256")(node)


RULES: Final[Mapping[type[Any], Callable[[Any], Any]]] = {
    exp.Concat: concat,
    exp.DPipe: pipes,
    exp.ConcatWs: concat_ws,
    exp.Length: length,
    exp.Substring: substring,
    exp.Left: left,
    exp.Right: right,
    exp.Trim: trim,
    exp.Split: split,
    exp.SplitPart: split_part,
    exp.Replace: replace,
    exp.Pad: pad,
    exp.StrPosition: position,
    exp.Contains: contains,
    exp.StartsWith: lambda node: starts_with(node.this, node.expression),
    exp.EndsWith: lambda node: ends_with(node.this, node.expression),
    exp.Like: like,
    exp.ILike: ilike,
    exp.Glob: glob,
    exp.RegexpLike: regexp_like,
    exp.RegexpILike: regexp_ilike,
    exp.RegexpFullMatch: regexp_full_match,
    exp.RegexpReplace: regexp_replace,
    exp.RegexpExtract: regexp_extract,
    exp.RegexpExtractAll: regexp_extract_all,
    exp.Lower: _lower,
    exp.Upper: _upper,
    exp.MD5: _digest("MD5"),
    exp.SHA: _digest("SHA1"),
    exp.SHA2: sha2,
}
NAMED: Final[Mapping[str, Callable[..., Any]]] = {
    "strlen": _strlen,
    "suffix": ends_with,
    "prefix": starts_with,
}
"""Functions that sqlglot knows no class of, by their names in DuckDB."""
