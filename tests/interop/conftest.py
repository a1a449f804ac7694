"""The real quilt3 as the oracle, kept in a folder of its own: no network, no metrics, no one's packages.

quilt3 fixes its folders when it is imported, so this happens before any test module is.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

_HOME = Path(tempfile.mkdtemp(prefix="quilt3-oracle-"))
os.environ["XDG_DATA_HOME"] = str(_HOME / "data")
os.environ["XDG_CACHE_HOME"] = str(_HOME / "cache")
os.environ["XDG_CONFIG_HOME"] = str(_HOME / "config")
os.environ["QUILT_DISABLE_USAGE_METRICS"] = "true"
os.environ["QUILT_MINIMIZE_STDOUT"] = "true"

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import quilt3.workflows

    quilt3.workflows._get_conf_validator()


@pytest.fixture(scope="session", autouse=True)
def _oracle_home() -> Iterator[Path]:
    yield _HOME
    shutil.rmtree(_HOME, ignore_errors=True)
