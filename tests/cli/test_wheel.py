"""The wheel: what people without git install. It runs in an environment that has nothing else of ours."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, home: Path, **variables: str) -> str:
    done = subprocess.run(
        [str(one) for one in command],
        cwd=home,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    script = f"import os; os.chdir({str(ROOT)!r}); from hatchling.build import build_wheel; print(build_wheel({str(folder)!r}))"
    name = run(sys.executable, "-c", script, home=folder).splitlines()[-1]
    return folder / name


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    made.mkdir()
    return made


def fresh(folder: Path, *, with_pip: bool = False) -> Path:
    venv.EnvBuilder(with_pip=with_pip, symlinks=True).create(folder)
    return folder / "bin"


def test_the_wheel_holds_the_source_its_types_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    own = {name for name in names if ".dist-info/" not in name}
    source = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*") if path.is_file()}
    assert own == {name for name in source if "__pycache__" not in name}
    assert "quilt_mcp/py.typed" in own


def test_an_installed_wheel_works_without_a_checkout(wheel: Path, home: Path, tmp_path: Path) -> None:
    """Its dependencies are those of this environment; what is installed editable there is not seen through a .pth."""
    bin_folder = fresh(tmp_path / "env")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", bin_folder / "python")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, home=home)
    [packages] = (tmp_path / "env" / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = run(bin_folder / "python", "-c", "import quilt_mcp; print(quilt_mcp.__file__)", home=home)
    assert where.startswith(str(tmp_path / "env"))
    assert "local" in run(bin_folder / "quilt-mcp", "status", home=home)
    assert "The whole job is done." in run(bin_folder / "quilt-mcp", "demo", home=home)
    assert "me/first" in run(bin_folder / "quilt-mcp", "put", "me/first", "--allow-empty", "-w", home=home)
    assert run(bin_folder / "quilt-mcp", "ls", home=home).startswith("me/first\t")


@pytest.mark.nightly
def test_pip_brings_all_that_the_wheel_needs(wheel: Path, home: Path, tmp_path: Path) -> None:
    bin_folder = fresh(tmp_path / "env", with_pip=True)
    run(bin_folder / "pip", "install", "--quiet", wheel, home=home)
    assert "local" in run(bin_folder / "quilt-mcp", "status", home=home)
    assert "The whole job is done." in run(bin_folder / "quilt-mcp", "demo", home=home)
