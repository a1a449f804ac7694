"""Files of packages for Python's readers of data: pandas, polars, dask, DuckDB, pyarrow and whatever else opens files by fsspec.

    pandas.read_csv("quilt+s3://bucket#package=ns/name@HASH&path=data/x.csv")
    dask.dataframe.read_parquet("quilt+s3://bucket/ns/name/data/*.parquet")
    duckdb.register_filesystem(fsspec.filesystem("quilt+file"))

Two forms of a path are accepted: the project's URI, and the plain form, in which nothing is encoded and which can be globbed and
joined (``spelling``). A read-only view of revisions, pinned to their top hashes; a file that is read whole is verified against
the manifest (decision 037). fsspec finds it by the entry points ``quilt+s3`` and ``quilt+file``.
"""

from quilt_mcp.python_files.filesystem import BucketFiles, FolderFiles, PackageFiles
from quilt_mcp.python_files.read_only import ReadOnlyRevision
from quilt_mcp.python_files.told import AccessRefused, ContentMismatch, InvalidAddress

__all__ = [
    "AccessRefused",
    "BucketFiles",
    "ContentMismatch",
    "FolderFiles",
    "InvalidAddress",
    "PackageFiles",
    "ReadOnlyRevision",
]
