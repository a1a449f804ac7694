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
    QuiltError,
    StorageFull,
    StorageUnavailable,
)

_DENIED = {errno.EACCES, errno.EPERM}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DESCRIPTORS = {errno.EMFILE, errno.ENFILE}


def storage_error(
    error: OSError, subject: str, where: str, *, missing: type[NotFound] = ObjectNotFound
) -> QuiltError:
    """The typed failure of a call on ``subject`` (a phrase that starts a sentence) below the folder ``where``."""
    code = error.errno
    details = {"folder": where, "errno": errno.errorcode.get(code, str(code)) if code else "unknown"}
    reason = os.strerror(code) if code else str(error)
    if code == errno.ENOENT:
        return missing(
            f"{subject} does not exist in {where}.",
            next_step="Look at what is there: object_list for files, packages_list and package_browse for packages.",
            details=details,
        )
    if code in _DENIED:
        return PermissionDenied(
            f"{subject} in {where} may not be used by this user: {reason}.",
            next_step=f"Give this user access (ls -l {where} shows who has it), or use another folder.",
            details=details,
        )
    if code == errno.EROFS:
        return PermissionDenied(
            f"{subject} cannot be written: {where} is on a read-only file system.",
            next_step="Use a registry on a file system that can be written (the registry argument).",
            details=details,
        )
    if code in _FULL:
        return StorageFull(
            f"{subject} does not fit into {where}: {reason}.",
            next_step="Free space there (df -h shows how much) or raise the quota, then make the same call again.",
            details=details,
        )
    if code == errno.ENAMETOOLONG:
        return InvalidName(
            f"{subject} has a name longer than the file system of {where} allows (often 255 bytes between two '/').",
            next_step="Make the same call with a shorter name.",
            details=details,
        )
    if code == errno.EILSEQ:
        return InvalidName(
            f"{subject} has a name that the file system of {where} cannot hold.",
            next_step="Make the same call with a name of ordinary letters.",
            details=details,
        )
    if code == errno.EISDIR:
        return NotAFile(
            f"{subject} is a folder in {where}, not a file.",
            next_step="List it with object_list or package_browse and name a file in it.",
            details=details,
        )
    if code in {errno.ENOTDIR, errno.EEXIST}:
        return AlreadyExists(
            f"{subject} cannot be made in {where}: a file stands where a folder is needed.",
            next_step="Choose another name, or remove the file that is in the way.",
            details=details,
        )
    if code == errno.ELOOP:
        return OutsideRoots(
            f"{subject} leads through a symbolic link in {where}; links are not followed.",
            next_step="Name the file that the link points to, or replace the link by the file itself.",
            details=details,
        )
    if code in _DESCRIPTORS:
        return StorageUnavailable(
            f"{subject} in {where} could not be opened: this process has too many files open.",
            next_step="Make the same call again in a moment; if it stays, raise the limit (ulimit -n) and restart.",
            details=details,
        )
    return StorageUnavailable(
        f"{subject} in {where} could not be read or written: {reason}.",
        next_step="Make the same call again; if it fails again, look at the disk (dmesg) and whether it is mounted.",
        details=details,
    )


@contextmanager
def typed_errors(subject: str, where: str, *, missing: type[NotFound] = ObjectNotFound) -> Generator[None]:
    """Lets no OSError out of the block."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, subject, where, missing=missing) from error
