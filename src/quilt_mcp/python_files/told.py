"""Errors of the engine as the OSErrors that readers of files expect, each with what to do about it."""

from __future__ import annotations

import errno
from typing import Any, cast

from quilt_mcp import errors


class ContentMismatch(OSError):
    """The bytes of a file are not those that its package recorded. Nothing that was read of it should be used."""


class AccessRefused(OSError):
    """Nobody is signed in, or who is may not read it. No PermissionError: at one of those pandas asks again without credentials,
    and this project never goes on as somebody else."""


class InvalidAddress(OSError, ValueError):
    """A path that can name no file of a package, or a call that nobody can answer."""


def as_os_error(error: errors.QuiltError) -> OSError:
    """``error.__cause__`` of what is raised from it holds the code and the details."""
    match error:
        case errors.HashMismatch():
            kind, number = ContentMismatch, errno.EIO
        case errors.NotFound():
            kind, number = FileNotFoundError, errno.ENOENT
        case errors.NotAFile():
            kind, number = IsADirectoryError, errno.EISDIR
        case errors.AuthenticationError() | errors.AccessError():
            kind, number = AccessRefused, errno.EACCES
        case errors.InputError():
            kind, number = InvalidAddress, errno.EINVAL
        case _:
            kind, number = OSError, errno.EIO
    return kind(number, f"{error.message} {_next_step(error)}".rstrip())


def _next_step(error: errors.QuiltError) -> str:
    """The engine's own names the next call of an agent; here it is a line of Python or of a shell."""
    match error:
        case errors.HashMismatch():
            return (
                "Use nothing that was read of it. `quilt-mcp verify PACKAGE` lists all such files; restore the file, or package "
                "it anew and name that revision."
            )
        case errors.EntryNotFound() | errors.PackageNotFound():
            found = cast("list[Any]", error.details.get("suggestions") or [])
            near = f"Did you mean {', '.join(map(repr, found))}? " if found else ""
            what = "the package holds" if isinstance(error, errors.EntryNotFound) else "packages there are"
            return f"{near}fs.ls() of the folder above shows what {what}."
        case errors.NotAFile():
            return "fs.ls() shows what is in it; a file's path opens."
        case errors.OutsideRoots():
            return (
                "Name the folder in storage_options={'roots': ['/folder']}, or in QUILT_ROOT, if it may be read: a manifest "
                "alone opens no folder."
            )
        case errors.RevisionNotFound() | errors.AmbiguousHash() | errors.CorruptManifest():
            return "`quilt-mcp log PACKAGE` lists the revisions, each with its hash."
        case errors.InvalidUri() | errors.InvalidName() | errors.RegistryNotFound():
            return (
                "A file is quilt+s3://bucket#package=ns/name@HASH&path=data/x.csv or quilt+s3://bucket/ns/name@HASH/data/x.csv; "
                "in a folder's registry quilt+file:///folder#package=... or quilt+file:///folder/ns/name/..."
            )
        case _:
            return error.next_step
