"""The verbs. One literal tuple names them all; a new one is one line.

Everything else about a verb (its flags, their types, defaults and meanings) comes from the ToolSpec that it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

How = Literal["call", "cat", "head", "link", "sql", "diff"]
LOOK, FILES, CHANGE, SETUP = "Look", "Files", "Change (with -w or --allow-write)", "Set up"
GROUPS: Final = (LOOK, FILES, CHANGE, SETUP)


@dataclass(frozen=True, slots=True)
class Verb:
    """``words`` names the tool's arguments that are typed without a flag: ``name``, ``[name]`` where it may be left out,
    ``name...`` where there may be more. ``fixed`` are arguments that the verb is about. ``how`` other than ``call``: what is
    done with what the tool finds. ``asks``: on a terminal it shows the plan and asks before it acts. ``more``: further examples;
    ``notes`` stand below them."""

    name: str
    tool: str
    words: str
    group: str
    meaning: str
    example: str
    how: How = "call"
    fixed: Mapping[str, Any] = field(default_factory=dict[str, Any])
    asks: bool = False
    more: tuple[str, ...] = ()
    notes: str = ""


_TABLES: Final = """tables:
  'data/table.csv'                 a file of the packages that are named (CSV, TSV, Parquet, JSON; .gz, .zst)
  'me/first/data/table.csv'        a file of a package; of one revision: 'me/first@1f2e3d4c5b/data/table.csv'
  files('me/first', '*.csv')       all that fit, as one table
  package_tag, package_entry, package_manifest, package_revision
                                   over all packages: the latest of each, files, messages and metadata, dates;
                                   of one bucket: "bucket_package_entry". quilt-mcp tables shows their columns"""

VERBS: Final[tuple[Verb, ...]] = (
    Verb("ls", "packages_list", "[registry]", LOOK, "List packages.", "ls s3://your-bucket"),
    Verb("browse", "package_browse", "package [path]", LOOK, "Show a package and its files.", "browse me/first data/"),
    Verb("log", "package_log", "package", LOOK, "List the revisions of a package, newest first.", "log me/first"),
    Verb("diff", "package_diff", "before after", LOOK, "Compare two revisions or packages.", "diff me/first@1f2e3d4c5b me/first", how="diff", more=(
        "diff me/first@1f2e3d4c5b me/first --content --path data/table.csv --key plant",
    )),
    Verb("verify", "package_verify", "package [dest]", LOOK, "Check every byte of a package, or of its copy in a folder.", "verify me/first"),
    Verb("status", "status", "", LOOK, "Show who you are here, on which registry, and what you may do.", "status"),
    Verb("search", "search", "[query]", LOOK, "Find packages, files of them or objects, by words and fields.", "search 'organoid ext:csv' --where \"modified >= 2026-01-01\" --facets '*'"),
    Verb("sql", "sql_query", "sql [packages...]", LOOK, "Query packages, and the tables in them, in SQL.", "sql \"SELECT count(*) FROM 'data/table.csv'\" me/first", how="sql", more=(
        'sql "SELECT pkg_name, count(*) AS files FROM package_tag JOIN package_entry USING (top_hash) GROUP BY ALL"',
        "sql \"FROM files('me/first', '*.csv')\" --parquet all.parquet",
        "sql \"FROM 'data/table.csv' WHERE height > 2\" me/first --to me/first/results/tall.parquet -w",
    ), notes=_TABLES),
    Verb("tables", "sql_tables", "[packages...]", LOOK, "List the tables that a query can name.", "tables me/first", more=("tables",), notes=_TABLES),
    Verb("workflows", "workflow_list", "[registry]", LOOK, "Show what a registry demands of its packages.", "workflows s3://your-bucket"),
    Verb("cat", "object_read", "uri", FILES, "Write a whole file to standard output.", "cat me/first/notes.txt", how="cat"),
    Verb("head", "object_read", "uri", FILES, "Write the first lines of a file.", "head me/first/table.csv -n 5", how="head"),
    Verb("link", "object_link", "uri", FILES, "Make a link that a browser opens, or one for each file of a folder.", "link me/first/plot.png --open", how="link"),
    Verb("get", "package_install", "package dest", FILES, "Download a package, or a part of it, and verify it.", "get me/first ./first -w"),
    Verb("put", "package_create", "package [sources...]", CHANGE, "Make a package of files and folders.", 'put me/first ./results -m "First" -w'),
    Verb("patch", "package_patch", "package [add...]", CHANGE, "Add, replace, rename or remove files, or set metadata.", "patch me/first new.csv --to data/ -w"),
    Verb("cp", "package_copy", "package to", CHANGE, "Copy a package to another name or registry.", "cp me/first team/first -w"),
    Verb("rollback", "package_copy", "package", CHANGE, "Make an older revision the latest again.", "rollback me/first@1f2e3d4c5b -w", fixed={"to": None, "to_registry": None}),
    Verb("rm", "package_delete", "package", CHANGE, "Delete a revision, or a package. Stored bytes stay.", "rm me/first@1f2e3d4c5b -w", asks=True),
    Verb("restore", "object_restore", "uri", CHANGE, "Bring an object back from the archive (Glacier).", "restore me/first/raw.bam --days 7 -w"),
    Verb("role", "role_switch", "role", CHANGE, "Take another of your roles in the Quilt stack.", "role analyst -w"),
)  # fmt: skip


def find_verb(name: str) -> Verb | None:
    return next((verb for verb in VERBS if verb.name == name), None)


def verb_of(tool: str) -> Verb | None:
    """The verb that does what the tool does, for texts that name tools."""
    return next((verb for verb in VERBS if verb.tool == tool and not verb.fixed), None)
