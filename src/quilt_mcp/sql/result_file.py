"""The file that a child wrote its result into. The folder is the child's to write, so that what stands there may be anything: a
link, a pipe that nobody writes to, a second name of another file.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from quilt_mcp.sql import faults
from quilt_mcp.storage.errors import storage_error

NAME: Final = "result.parquet"
_FLAGS: Final = os.O_RDONLY | sum(getattr(os, one, 0) for one in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK"))


def open_result(folder: str) -> int:
    """A plain file of this account with no other name; through its descriptor alone it is read. The caller closes it. Raises
    Undecodable for anything else, StorageUnavailable."""
    try:
        descriptor = os.open(os.path.join(folder, NAME), _FLAGS)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise storage_error(error, "The result of the query", folder) from error
        raise faults.died() from error
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1 or about.st_uid != os.geteuid():
        os.close(descriptor)
        raise faults.died()
    return descriptor
