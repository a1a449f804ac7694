"""Writes docs/reference from the code: tools, searches, command line, settings, errors. A test fails while it is stale."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from quilt_mcp import errors
from quilt_mcp.cli import exits
from quilt_mcp.cli.commands import COMMANDS, DESCRIPTION, command_names, parser_of, top_parser
from quilt_mcp.cli.verbs.table import VERBS, find_verb
from quilt_mcp.option import OPTIONS
from quilt_mcp.tools import TOOLS
from quilt_mcp.tools.spec import ToolSpec
from quilt_mcp.tools.syntax import syntax_page, table

REFERENCE = Path(__file__).parent / "reference"
RESULTS = Path(__file__).parents[1] / "bench" / "results"
NOTE = "<!-- Written by docs/generate.py (`make docs`); do not edit. -->\n"


def pages() -> dict[str, str]:
    """Each page of the reference, by file name."""
    return {
        "tools.md": tools_page(),
        "search-syntax.md": syntax_page(note=NOTE.strip()),
        "command-line.md": command_line_page(),
        "settings.md": settings_page(),
        "errors.md": errors_page(),
        "benchmarks.md": benchmarks_page(),
    }


def tools_page() -> str:
    lines = [
        "# Tools",
        "",
        NOTE,
        "Results carry `data`, `page` (`next_cursor`, `total`), `warnings` and `uri`; failures carry `error`, see",
        "[errors](errors.md). Tools and actions marked *writes* are listed and allowed only with `--allow-write`.",
        "",
        *table(
            ("tool", "does", ""),
            ((f"[`{tool.name}`](#{tool.name})", sentence(tool), marks(tool)) for tool in TOOLS),
        ),
    ]
    for tool in TOOLS:
        lines += ["", f"## {tool.name}", "", tool.description, ""]
        if marks(tool):
            lines += [f"*{marks(tool)}*", ""]
        if tool.arguments:
            rows = (
                (f"`{name}`{' (required)' if name in tool.required else ''}", *describe(schema))
                for name, schema in tool.arguments.items()
            )
            lines += table(("argument", "type", "meaning"), rows)
        else:
            lines.append("Takes no arguments.")
        lines += ["", f"`data`: {shape(tool.data)}"]
    return "\n".join(lines) + "\n"


def sentence(tool: ToolSpec) -> str:
    return tool.description.split(". ")[0].split("\n")[0].rstrip(".")


def marks(tool: ToolSpec) -> str:
    if tool.writing:
        return f"reads; writes, destructive: {', '.join(tool.writing)}"
    if tool.for_writing:
        return f"reads; writes with {tool.for_writing[0]}"
    if not tool.writes:
        return "reads"
    return "writes, destructive" if tool.destructive else "writes"


def describe(schema: Mapping[str, Any]) -> tuple[str, str]:
    kind = type_of(schema)
    meaning = str(schema.get("description", "")).rstrip(".")
    limits = [
        f"{word} {schema[key]}"
        for key, word in (("minimum", "at least"), ("maximum", "at most"))
        if key in schema
    ]
    if schema.get("default", "") != "":
        limits.append(f"default {json.dumps(schema['default'])}")
    return kind, "; ".join([meaning, *limits] if meaning else limits)


def type_of(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    kinds = schema.get("type", "any JSON")
    text = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    if text == "array":
        return f"list of {shape(schema.get('items', {}))}"
    if text == "object" and "properties" in schema:
        return shape(schema)
    return text


def shape(schema: Mapping[str, Any]) -> str:
    """A schema in one line: {name, top_hash, entries: [{path, size}]}."""
    if "properties" in schema:
        parts = (
            f"{name}: {shape(part)}" if nested(part) else name for name, part in schema["properties"].items()
        )
        return "`{" + ", ".join(parts).replace("`", "") + "}`"
    if "items" in schema:
        return "`[" + shape(schema["items"]).replace("`", "") + "]`"
    return type_of(schema) if "type" in schema else "any JSON"


def nested(schema: Mapping[str, Any]) -> bool:
    return "properties" in schema or ("items" in schema and nested(schema["items"]))


def command_line_page() -> str:
    lines = ["# Command line", "", NOTE, DESCRIPTION, ""]
    groups = dict.fromkeys(one.group for one in (*VERBS, *COMMANDS))
    for group in groups:
        rows = (
            (f"[`{one.name}`](#quilt-mcp-{one.name.replace(' ', '-')})", one.meaning)
            for one in (*VERBS, *COMMANDS)
            if one.group == group
        )
        lines += [f"**{group}**", "", *table(("command", "does"), rows), ""]
    for name, one in parsers():
        lines += [f"## {name}", "", "" if name == "quilt-mcp" else str(one.description), ""]
        verb = find_verb(name.removeprefix("quilt-mcp "))
        if verb is not None:
            lines += [f"For example: `quilt-mcp {verb.example}`", ""]
            lines += [f"* `quilt-mcp {one}`" for one in verb.more]
            lines += ["", "```text", verb.notes, "```", ""] if verb.notes else [""]
        own = [
            action
            for action in one._actions
            if action.dest not in ("help", "command", "rest") and not is_setting(action)
        ]
        if own:
            rows = ((invocation(action), (action.help or "").replace("%%", "%")) for action in own)
            lines += [*table(("argument", "meaning"), rows), ""]
        flags = [
            f"`{flag}`" for action in one._actions if is_setting(action) for flag in action.option_strings
        ]
        if flags:
            lines += [f"[Settings](settings.md): {', '.join(flags)}.", ""]
    lines += [
        "## Exit codes",
        "",
        *table(("code", "meaning"), ((str(c), m) for c, m in exits.MEANINGS.items())),
    ]
    return "\n".join(line for at, line in enumerate(lines) if line or at == 0 or lines[at - 1]) + "\n"


SETTINGS = frozenset(option.name for option in OPTIONS)


def is_setting(action: argparse.Action) -> bool:
    return action.dest in SETTINGS and bool(action.option_strings)


def parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield "quilt-mcp", top_parser()
    for name in command_names():
        parser = parser_of(name)
        assert parser is not None
        yield f"quilt-mcp {name}", parser


def invocation(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    many = action.metavar if isinstance(action.metavar, tuple) else (action.metavar,)
    value = "".join(f" {one}" for one in many if one) if action.nargs != 0 else ""
    return ", ".join(f"`{flag}{value}`" for flag in action.option_strings)


def settings_page() -> str:
    rows = (
        (
            f"`{option.flag}`" if option.flag else "",
            f"`{option.variable}`" if option.variable else "",
            option.default,
            option.meaning + (" Only for `serve`." if option.serve_only else ""),
        )
        for option in OPTIONS
    )
    lines = [
        "# Settings",
        "",
        NOTE,
        "A flag wins over its variable; an empty variable counts as unset. Switches take 1, true, yes, on or their opposites.",
        "",
        *table(("flag", "variable", "default", "meaning"), rows),
    ]
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    lines = [
        "# Errors",
        "",
        NOTE,
        "Every failure has a stable `code`, a `message` saying what was wrong, a `next_step` naming the next call to make or",
        "command to run, and a `recovery`: what kind of act mends it. The command line exits with the code of that kind.",
        "",
    ]
    rows = (
        (
            f"`{one.code}`",
            one.__name__,
            f"`{one.recovery}`",
            "yes" if one.retryable else "",
            str(exits.BY_RECOVERY[one.recovery]),
        )
        for one in leaves(errors.QuiltError)
    )
    lines += table(("code", "class", "recovery", "retryable", "exit code"), rows)
    lines += ["", "The tree, with what each means:", "", "```text"]
    tree = (errors.__doc__ or "").split("\n\n")[1]
    lines += [line.removeprefix("    ") for line in tree.splitlines()]
    lines.append("```")
    return "\n".join(lines) + "\n"


def leaves(kind: type[errors.QuiltError]) -> Iterator[type[errors.QuiltError]]:
    """The classes that are raised: those of ``errors`` without a class below them, in the order they stand there."""
    # Only the tree of errors.py: a module may have a subclass of its own, imported or not as chance has it.
    below = [one for one in kind.__subclasses__() if one.__module__ == errors.__name__]
    if not below:
        yield kind
    for one in below:
        yield from leaves(one)


def benchmarks_page() -> str:
    lines = [
        "# Benchmarks",
        "",
        NOTE,
        "From `bench/results`, written by the scripts of the same names (`make bench`). Each compares two sides in turn on one",
        "machine, so look at ratios; seconds are of a shared machine with two cores. *limit*: what the project asks of itself.",
    ]
    for result in sorted(RESULTS.glob("*.json")):
        record = json.loads(result.read_text(encoding="utf-8"))
        script = result.with_suffix(".py").name
        lines += ["", f"## {record['bench']}", ""]
        lines += table(("figure", "value", "limit"), figures(record["figures"]))
        lines += [
            "",
            f"`bench/{script}`, {record['when'][:10]}, commit {record['commit']}, Python {record['python']}.",
        ]
    return "\n".join(lines) + "\n"


def figures(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, ...]]:
    """A row for each number, with the limit that stands beside it."""
    targets = values.get("targets", {})
    for name, value in values.items():
        if name == "targets" or name == "limit" or name.endswith("_limit") or isinstance(value, list):
            continue
        if isinstance(value, Mapping):
            yield from figures(value, f"{above}{name} ")
            continue
        limit = values.get(
            f"{name}_limit", targets.get(name, values.get("limit", "") if "ratio" in name else "")
        )
        yield (
            f"{above}{name}".replace("_", " "),
            f"{value:,}" if isinstance(value, int | float) else str(value),
            str(limit),
        )


def main() -> int:
    os.environ.setdefault("COLUMNS", "100")
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
