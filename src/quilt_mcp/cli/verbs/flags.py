"""From a ToolSpec to the flags and words of a verb, and from what was typed to the tool's arguments.

text, number      --name VALUE                 switch           --name / --no-name
list of texts     --name VALUE, repeated       that or null     also --no-name
object            --name JSON, --name @FILE or --name KEY=VALUE, repeated
list of objects   words: each is its first field, the others are flags that count for every word
                  flags: --name A B where two texts are needed, else --name JSON or @FILE
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, cast

from quilt_mcp.cli.arguments import EXIT_CODES, Parser, add_settings
from quilt_mcp.cli.verbs.table import Verb
from quilt_mcp.errors import InvalidArgument
from quilt_mcp.tools.spec import ToolSpec
from quilt_mcp.tools.vocabulary import Schema

ALIASES: Final = {"message": ("-m",), "metadata": ("--meta",), "recursive": ("-r",), "keys": ("--key",)}
BY_THE_SHELL: Final = frozenset({"cursor", "registry"})
"""Pages are turned for a person, and ``--registry`` is the setting: it decides whose credentials are used, too."""
_FORMATS: Final = ("csv", "tsv", "nl")


class Group(Protocol):
    """What argparse calls a group of arguments; it has no public name for it."""

    def add_argument(self, *names: str, **shape: Any) -> object: ...


@dataclass(frozen=True, slots=True)
class Word:
    """A tool's argument that is typed without a flag."""

    name: str
    optional: bool
    many: bool


def words_of(verb: Verb) -> tuple[Word, ...]:
    return tuple(
        Word(one.strip("[]").removesuffix("..."), one.startswith("["), "..." in one)
        for one in verb.words.split()
    )


def build_verb_parser(verb: Verb, tool: ToolSpec) -> Parser:
    parser = Parser(f"quilt-mcp {verb.name}", verb.meaning, f"{_examples(verb)}\n\n{EXIT_CODES}")
    words = words_of(verb)
    own = parser.add_argument_group("arguments")
    for word in words:
        _add_word(own, word, tool.arguments.get(word.name, {}))
    typed = {word.name for word in words}
    items = {name: part for word in words for name, part in _item_fields(tool, word).items()}
    for name, schema in {**items, **tool.arguments}.items():
        if name not in typed | BY_THE_SHELL | {"limit"} | set(verb.fixed):
            _add_flag(own, name, schema, needs_writing=name in tool.for_writing and not tool.writes)
    if tool.paged:
        own.add_argument(
            "-n", "--limit", dest="most", type=_count, metavar="N", help="At most so many rows. Default: all."
        )
    if verb.how == "head":
        own.add_argument(
            "-n", "--lines", type=_count, default=10, metavar="N", help="So many lines. Default: 10."
        )
    if verb.how == "link":
        own.add_argument("--open", action="store_true", help="Open it in the browser, too.")
    if verb.how == "sql":
        own.add_argument(
            "--parquet",
            metavar="FILE",
            help="Write all rows into this new file of Parquet, here (needs no -w).",
        )
        own.add_argument(
            "--overwrite", action="store_true", help="With --parquet: replace the file that is there."
        )
    if verb.asks:
        own.add_argument("-y", "--yes", action="store_true", help="Do not ask.")
    output = parser.add_argument_group(
        "output", "Without one of these: a table on a terminal, values between tabs elsewhere."
    )
    output.add_argument("--json", action="store_true", help="The tool's own JSON, all pages in one.")
    if tool.paged:
        for form, meaning in zip(
            _FORMATS, ("comma-separated", "tab-separated", "a JSON object a line"), strict=True
        ):
            output.add_argument(
                f"--{form}", dest="form", action="store_const", const=form, help=f"Rows: {meaning}."
            )
    output.add_argument("-q", "--quiet", action="store_true", help="No bars, notes and warnings, no pager.")
    shown = {"default_registry", "roots", *(("allow_write",) if tool.writes or tool.for_writing else ())}
    add_settings(parser, serve=False, default=argparse.SUPPRESS, shown=shown)
    return parser


def tool_arguments(verb: Verb, tool: ToolSpec, parsed: argparse.Namespace) -> dict[str, Any]:
    """Raises InvalidArgument for JSON that is none and for files that cannot be read; the tool checks the rest."""
    given = {
        name.removeprefix("arg_"): value for name, value in vars(parsed).items() if name.startswith("arg_")
    }
    values: dict[str, Any] = dict(verb.fixed)
    for name, value in given.items():
        if name in tool.arguments:
            read = (
                value
                if isinstance(value, bool) or value is None
                else _read(name, value, tool.arguments[name])
            )
            values[name] = read
    if verb.how == "diff" and "keys" in values:
        values["keys"] = [name.strip() for one in values["keys"] for name in one.split(",") if name.strip()]
    for word in words_of(verb):
        fields = {
            name: part if isinstance(part, bool) else _read(name, part, schema)
            for name, schema in _item_fields(tool, word).items()
            if (part := given.get(name)) is not None
        }
        if fields and word.name in values:
            values[word.name] = [{**fields, **one} for one in values[word.name]]
    return values


def take_registry(parsed: argparse.Namespace) -> None:
    """Makes a folder that was typed as it lies from here an absolute one. Raises InvalidArgument for the name of a package."""
    typed: str | None = getattr(parsed, "default_registry", None)
    if typed is None or ":" in typed or typed.startswith(("/", "~")):
        return
    if typed.startswith(".") or os.path.isdir(typed):
        parsed.default_registry = os.path.abspath(typed)
    elif typed.count("/") == 1:
        raise InvalidArgument(
            f"There is no folder {typed!r} here that could be a registry.",
            next_step=f"If it is a package, type: quilt-mcp browse {typed}",
        )


def joined(parser: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """The words with each flag's value joined to it where the value begins with '-', as ``--sort -size``: argparse would take
    it for a flag. A flag of this parser stays one."""
    taking = {
        flag
        for action in parser._actions
        for flag in action.option_strings
        if action.nargs is None and flag.startswith("--")
    }
    done: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*done, word, *rest]
        if (
            word in taking
            and rest
            and rest[0].startswith("-")
            and rest[0].split("=")[0] not in parser._option_string_actions
        ):
            word = f"{word}={rest.pop(0)}"
        done.append(word)
    return done


def _add_word(group: Group, word: Word, schema: Schema) -> None:
    nargs = "*" if word.many else "?" if word.optional else None
    shape: dict[str, Any] = {} if nargs is None else {"nargs": nargs}
    # As a setting's own flag: the registry that is listed is the one whose credentials are looked for.
    dest = "default_registry" if word.name == "registry" else f"arg_{word.name}"
    group.add_argument(
        dest, metavar=word.name.upper(), default=argparse.SUPPRESS, help=_meaning(schema), **shape
    )


def _examples(verb: Verb) -> str:
    lines = [f"quilt-mcp {one}" for one in (verb.example, *verb.more)]
    notes = f"\n\n{verb.notes}" if verb.notes else ""
    return f"example{'s' if verb.more else ''}:\n  " + "\n  ".join(lines) + notes


def _add_flag(group: Group, name: str, schema: Schema, *, needs_writing: bool) -> None:
    flag, kinds = f"--{name.replace('_', '-')}", _kinds(schema)
    meaning = f"{_meaning(schema)[:-1]} (needs -w)." if needs_writing else _meaning(schema)
    shape: dict[str, Any] = {"dest": f"arg_{name}", "default": argparse.SUPPRESS, "help": meaning}
    names = (*ALIASES.get(name, ()), flag)
    if kinds == ["boolean"]:
        group.add_argument(*names, action=argparse.BooleanOptionalAction, **shape)
        return
    item: Schema = schema.get("items", {})
    if "boolean" in kinds:
        shape |= {"nargs": "?", "const": True, "action": "append", "metavar": "VALUE"}
    elif len(item.get("required", ())) == 2:
        shape |= {"nargs": 2, "action": "append", "metavar": tuple(one.upper() for one in item["required"])}
    elif "enum" in schema:
        shape |= {"action": "append", "metavar": "{" + ",".join(map(str, schema["enum"])) + "}"}
    else:
        shape |= {"action": "append", "metavar": _METAVARS.get(kinds[0] if kinds else "", "TEXT")}
        if "properties" in item:
            shape["metavar"] = "JSON"
    group.add_argument(*names, **shape)
    if "null" in kinds:
        group.add_argument(
            f"--no-{name.replace('_', '-')}", dest=shape["dest"], default=argparse.SUPPRESS,
            action="store_const", const=None, help=f"No {name.replace('_', ' ')}.",
        )  # fmt: skip


_METAVARS: Final = {"integer": "N", "number": "N", "object": "KEY=VALUE"}


def _meaning(schema: Schema) -> str:
    text = str(schema.get("description", "")).rstrip(".")
    notes = [f"default: {schema['default']}"] if schema.get("default") not in (None, "", True, False) else []
    if schema.get("default") is True:
        notes.append("default: on")
    if "array" in _kinds(schema):
        notes.append("may be repeated")
    elif "object" in _kinds(schema):
        notes.append("or JSON, or @FILE; may be repeated")
    return (f"{text} ({'; '.join(notes)})." if notes else f"{text}.").replace("%", "%%")


def _item_fields(tool: ToolSpec, word: Word) -> Mapping[str, Schema]:
    """Of a word that stands for an object: the fields beside its first, which is the word. One named as an argument of the
    tool is not among them."""
    item: Schema = tool.arguments.get(word.name, {}).get("items", {})
    own = list(item.get("properties", {}))[1:]
    return {name: item["properties"][name] for name in own if name not in tool.arguments}


def _kinds(schema: Schema) -> list[str]:
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _read(name: str, typed: Any, schema: Schema) -> Any:
    """``typed``: a text, or the list of what was given for a flag that may be repeated."""
    kinds = _kinds(schema)
    many = cast("list[Any]", typed) if isinstance(typed, list) else [typed]
    if "boolean" in kinds and True in many:
        return True
    if "array" in kinds:
        return _read_list(name, many, schema.get("items", {}))
    if "object" in kinds:
        merged: dict[str, Any] = {}
        for one in many:
            merged |= _read_object(name, one)
        return merged
    return read_scalar(many[-1], kinds)


def read_scalar(text: str, kinds: Sequence[str]) -> Any:
    """JSON where the tool wants no text; left as text where it is no JSON: the tool's own check then says what it may be."""
    if "string" in kinds:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _read_list(name: str, many: Sequence[Any], item: Schema) -> list[Any]:
    fields = list(item.get("properties", {}))
    read: list[Any] = []
    for one in many:
        if isinstance(one, list):
            read.append(dict(zip(item["required"], cast("list[str]", one), strict=True)))
        elif not fields:
            read.append(read_scalar(one, _kinds(item)))
        elif one.lstrip().startswith(("{", "[", "@")):
            value = _read_json(name, one)
            read += value if isinstance(value, list) else [value]
        else:
            read.append({fields[0]: one})
    return read


def _read_object(name: str, text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if equals and not text.lstrip().startswith(("{", "@")):
        return {key: as_typed(value)}
    found = _read_json(name, text)
    if not isinstance(found, dict):
        raise InvalidArgument(
            f"{_flag(name)} is not a JSON object.",
            next_step=f'Write {_flag(name)} key=value, {_flag(name)} \'{{"key": "value"}}\' or {_flag(name)} @file.json.',
        )
    return cast("dict[str, Any]", found)


def as_typed(text: str) -> Any:
    """A number, true, false or null where the text is just how JSON writes that; otherwise the text, so that a plate 007, a
    gene 1E5 and a version 1.10 stay what they are."""
    try:
        value = json.loads(text)
        is_plain = value is None or isinstance(value, bool | int | float)
        return value if is_plain and json.dumps(value, allow_nan=False) == text else text
    except ValueError:
        return text


def _read_json(name: str, text: str) -> Any:
    where = text
    try:
        if text.startswith("@"):
            where = text[1:]
            text = Path(where).expanduser().read_text(encoding="utf-8-sig")
        return json.loads(text)
    except OSError as error:
        raise InvalidArgument(
            f"{_flag(name)}: {where!r} cannot be read: {error.strerror}.",
            next_step=f"Write {_flag(name)} @FILE.",
        ) from None
    except ValueError as error:
        raise InvalidArgument(
            f"{_flag(name)} is not JSON: {error}.",
            next_step=f'Write {_flag(name)} key=value, {_flag(name)} \'{{"key": "value"}}\' or {_flag(name)} @file.json.',
        ) from None


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)
