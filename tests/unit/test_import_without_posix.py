"""What needs no local files is imported where there are none of POSIX's calls, as on Windows."""

from __future__ import annotations

import subprocess
import sys

import pytest

HIDDEN = """
import importlib, os, sys
from pathlib import Path

def load():
    return [importlib.import_module(name) for name in sys.argv[1:]]

load()  # other packages keep what they found; ours are imported anew
for name in [name for name in sys.modules if name.partition(".")[0] == "quilt_mcp"]:
    del sys.modules[name]
for name in ("fcntl", "resource", "termios", "pwd", "grp"):
    sys.modules[name] = None
for name in (
    "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY", "pread", "preadv", "pwrite", "posix_fadvise",
    "POSIX_FADV_DONTNEED", "copy_file_range", "sendfile", "fork", "geteuid", "getuid", "fchmod", "mkfifo", "statvfs",
):
    vars(os).pop(name, None)
load()

from quilt_mcp.errors import NotSupported
from quilt_mcp.storage.local.store import LocalStore
from quilt_mcp.storage.local.stores import LocalStores

LocalStores([])
for use in (lambda: LocalStore(Path("registry")), lambda: LocalStores([Path("/")]).folder("/x")):
    try:
        use()
    except NotSupported as error:
        print(error.next_step)
"""


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "module",
    ["quilt_mcp.backends.iam", "quilt_mcp.backends.stack", "quilt_mcp.storage.s3.stores", "quilt_mcp.cli"],
)
def test_a_way_to_s3_is_imported_and_a_local_folder_refused(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HIDDEN, module], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("s3://") == 2
