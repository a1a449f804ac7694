"""From what the kernel answers to what the caller can do about it: the one place where an OSError becomes a QuiltError."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager

from quilt_mcp.errors import (
    AlreadyExists,
    InvalidName,
    NotAFile,
    NotFound,
    ObjectNotFound,
    OutsideRoots,
    PermissionDenied,
    PreconditionFailed,
    QuiltError,
    StorageFull,
    StorageUnavailable,
)

_Row = tuple[tuple[int, ...], type[QuiltError], str, str]
_TABLE: tuple[_Row, ...] = (
    ((errno.ENOENT,), ObjectNotFound, "{subject} does not exist in {where}.",
     "Look at what is there: object_list for files, packages_list and package_browse for packages."),
    ((errno.EACCES, errno.EPERM), PermissionDenied, "{subject} in {where} may not be used by this user: {reason}.",
     "Give this user access (ls -l {where} shows who has it), or use another folder."),
    ((errno.EROFS,), PermissionDenied, "{subject} cannot be written: {where} is on a read-only file system.",
     "Use a registry on a file system that can be written (the registry argument)."),
    ((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), StorageFull, "{subject} does not fit into {where}: {reason}.",
     "Free space there (df -h shows how much) or raise the quota, then make the same call again."),
    ((errno.ENAMETOOLONG,), InvalidName,
     "{subject} has a name longer than the file system of {where} allows (often 255 bytes between two '/').",
     "Make the same call with a shorter name."),
    ((errno.EILSEQ,), InvalidName, "{subject} has a name that the file system of {where} cannot hold.",
     "Make the same call with a name of ordinary letters."),
    ((errno.EISDIR,), NotAFile, "{subject} is a folder in {where}, not a file.",
     "List it with object_list or package_browse and name a file in it."),
    ((errno.ENOTDIR, errno.EEXIST), AlreadyExists,
     "{subject} cannot be made in {where}: a file stands where a folder is needed.",
     "Choose another name, or remove the file that is in the way."),
    ((errno.ELOOP,), OutsideRoots, "{subject} leads through a symbolic link in {where}; links are not followed.",
     "Name the file that the link points to, or replace the link by the file itself."),
    ((errno.EMFILE, errno.ENFILE), StorageUnavailable,
     "{subject} in {where} could not be opened: this process has too many files open.",
     "Make the same call again in a moment; if it stays, raise the limit (ulimit -n) and restart."),
    ((0,), StorageUnavailable, "{subject} in {where} could not be read or written: {reason}.",
     "Make the same call again; if it fails again, look at the disk (dmesg) and whether it is mounted."),
)  # fmt: skip
"""What the kernel answers (0: anything else), the class of the error, what happened, and the next step."""
_ROWS = {code: row for row in _TABLE for code in row[0]}


def storage_error(
    error: OSError, subject: str, where: str, *, missing: type[NotFound] = ObjectNotFound
) -> QuiltError:
    """The typed failure of a call on ``subject`` (a phrase that starts a sentence) below the folder ``where``."""
    code = error.errno
    _, kind, message, next_step = _ROWS.get(code or 0, _ROWS[0])
    words = {"subject": subject, "where": where, "reason": os.strerror(code) if code else str(error)}
    return (missing if code == errno.ENOENT else kind)(
        message.format(**words),
        next_step=next_step.format(**words),
        details={"folder": where, "errno": errno.errorcode.get(code, str(code)) if code else "unknown"},
    )


def lost_condition(where: str, key: str, why: str) -> PreconditionFailed:
    """Of a conditional write or deletion in the store at ``where``."""
    return PreconditionFailed(
        f"{key!r} in {where} was not written: {why}.",
        next_step="Read it again and decide anew.",
        details={"store": where, "key": ascii(key)},
    )


def cut_short(where: str, key: str, found: int, expected: int) -> StorageUnavailable:
    """Of an object whose reading ended early. Sizes in bytes."""
    return StorageUnavailable(
        f"{key!r} in {where} was cut short while it was read: {found} of {expected} bytes came.",
        next_step="Make the same call again.",
        details={"store": where, "key": ascii(key)},
    )


@contextmanager
def typed_errors(subject: str, where: str, *, missing: type[NotFound] = ObjectNotFound) -> Generator[None]:
    """Lets no OSError out of the block."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, subject, where, missing=missing) from error
