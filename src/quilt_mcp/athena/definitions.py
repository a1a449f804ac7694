"""Definitions: the statements by which Athena comes to know the published tables of a bucket. Nobody's text is in them: names are
checked, and quoted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from quilt_mcp.athena.tables import FOUR_TABLES
from quilt_mcp.domain.publication import NAMES, lists_folder
from quilt_mcp.errors import InvalidArgument

DATABASE: Final = "quilt_tables"
"""Where none is configured or named."""
_NAME: Final = re.compile(r"[a-z0-9_]{1,128}")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_TYPES: Final = {"VARCHAR": "string", "BIGINT": "bigint", "TIMESTAMP": "timestamp"}
_COMMENTS: Final = {
    "package_entry": "Files of all revisions of the Quilt packages",
    "package_manifest": "Message and metadata (JSON) of each revision",
    "package_revision": "When each package had which revision",
    "package_tag": "The latest revision of each package",
}


def definitions(bucket: str, database: str) -> Sequence[str]:
    """One that makes the database and one for each table, all of which leave alone what is there. The tables are named as a Quilt
    stack names its own, and read the files that the table's list names. Raises InvalidArgument."""
    if not _NAME.fullmatch(database):
        raise InvalidArgument(
            f"{database[:100]!r} is no name of a database.",
            next_step="Use lower-case letters, digits and underscores: --database quilt_tables.",
        )
    if not _BUCKET.fullmatch(bucket):
        raise InvalidArgument(
            f"{bucket[:100]!r} is no name of a bucket that Athena reads.",
            next_step="Name a registry: s3://bucket.",
        )
    return [f"CREATE DATABASE IF NOT EXISTS `{database}`", *(_table(bucket, database, one) for one in NAMES)]


def _table(bucket: str, database: str, name: str) -> str:
    columns = ",\n".join(f"  `{column}` {_TYPES[kind]}" for column, kind in FOUR_TABLES[name].items())
    return (
        f"CREATE EXTERNAL TABLE IF NOT EXISTS `{database}`.`{bucket}_{name}` (\n{columns}\n)\n"
        f"COMMENT '{_COMMENTS[name]}'\n"
        "ROW FORMAT SERDE 'org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe'\n"
        "STORED AS INPUTFORMAT 'org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat'\n"
        "OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'\n"
        f"LOCATION 's3://{bucket}/{lists_folder(name)}'"
    )
