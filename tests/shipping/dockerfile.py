"""A Dockerfile, and its steps carried out in a folder instead of an image: what a machine without a daemon can show."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
_OF_THE_IMAGE = re.compile(r"(?<![\w./'])/(?=(?:opt|builder|wheels|cache)\b)")
_ACCOUNT = re.compile(r"\bchown \d+:\d+")
_PINNED = re.compile(r"python -m pip --python (?P<python>\S+) install .*-r requirements/\w+\.txt")


def steps() -> Iterator[tuple[str, str]]:
    """Each instruction and what follows it."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.M).replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        yield word, rest.strip()


def last(word: str) -> str:
    return [rest for one, rest in steps() if one == word][-1]


@dataclass
class Image:
    """``folder`` stands for the root of its file system, of all stages together."""

    folder: Path
    online: bool
    environment: dict[str, str] = field(default_factory=dict[str, str])
    ran: list[str] = field(default_factory=list[str])

    def build(self) -> None:
        work = self.folder
        for word, rest in steps():
            if word == "WORKDIR":
                work = self.folder / rest.lstrip("/")
                work.mkdir(parents=True)
            elif word == "COPY" and not rest.startswith("--from"):
                *sources, target = rest.split()
                for source in sources:
                    self._copy(source, work / target, alone=len(sources) == 1)
            elif word == "COPY":
                assert (self.folder / rest.split()[-1].lstrip("/")).exists(), rest
            elif word == "RUN":
                self._run(rest, work)
            elif word == "ENV":
                self.environment |= dict(pair.split("=", 1) for pair in rest.split())

    def inside(self, text: str) -> str:
        """``text`` with the paths of the image where they are here."""
        return _OF_THE_IMAGE.sub(f"{self.folder}/", text)

    def argv(self, text: str) -> list[str]:
        """Of an instruction in its JSON form."""
        return [self.inside(one) for one in json.loads(text)]

    def _copy(self, source: str, target: Path, *, alone: bool) -> None:
        assert _is_sent(source), f"{source} is kept from the build by Dockerfile.dockerignore"
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif alone and not target.name.endswith("requirements"):
            shutil.copy(ROOT / source, target)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, target / Path(source).name)

    def _run(self, command: str, work: Path) -> None:
        """As it stands; but folders stay this account's, and pinned requirements are those of this environment where no index
        may be asked."""
        pinned = _PINNED.fullmatch(command)
        if pinned and not self.online:
            self._borrow(Path(self.inside(pinned["python"])))
            return
        self.ran.append(command)
        done = subprocess.run(
            ["sh", "-ec", _ACCOUNT.sub(f"chown {os.getuid()}:{os.getgid()}", self.inside(command))],
            cwd=work,
            env={
                "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
                "HOME": str(self.folder),
                "LANG": "C.UTF-8",
            }
            | {name: value for name, value in os.environ.items() if name.startswith("PIP_")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout + done.stderr)

    def _borrow(self, python: Path) -> None:
        [packages] = python.parents[1].glob("lib/python*/site-packages")
        (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")


def _is_sent(source: str) -> bool:
    """Whether Docker sends it to the build: the last pattern that fits decides."""
    sent = True
    for line in DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().split():
        pattern = line.lstrip("!")
        if fnmatch(source, pattern) or source.startswith(f"{pattern}/"):
            sent = line.startswith("!")
    return sent
