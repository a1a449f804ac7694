"""A registry with a package, made at the shell."""

from __future__ import annotations

import pytest
from viewing import PACKAGE, Lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    home = tmp_path_factory.mktemp("viewing")
    made = Lab(home, home / "here")
    made.here.mkdir()
    (made.here / "reads.csv").write_text("a,b\n1,2\n")
    done = made.run("put", PACKAGE, "reads.csv", "-m", "first", "-w")
    assert done.returncode == 0, done.stderr
    return made
