"""TabulatorConfigs: where the tables of Tabulator are declared: files of a folder, and a Quilt stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from anyio import to_thread

from quilt_mcp.domain.tabulator import TabulatorTable, parse_table
from quilt_mcp.errors import Misconfigured
from quilt_mcp.storage.workers import in_thread

VARIABLE: Final = "QUILT_MCP_TABULATOR"
_ENDINGS: Final = (".yaml", ".yml")
_MOST_FILES: Final = 1_000
_MOST_BYTES: Final = 1 << 20
"""Of a file: more than a configuration may have, so that a long one is seen and a huge one is not read."""
Told = Callable[[str], Mapping[str, str]]
"""The configurations that a stack has of a bucket, by the tables' names. Blocks."""


@dataclass(frozen=True, slots=True)
class Config:
    """As it was found. ``origin`` tells people where."""

    name: str
    text: str | bytes
    origin: str

    def read(self) -> TabulatorTable:
        """Raises TabulatorInvalid."""
        return parse_table(self.name, self.text, self.origin)


def name_of(registry: str) -> str:
    """Its bucket, or its folder's name."""
    return registry.rstrip("/").rpartition("/")[2]


class TabulatorConfigs:
    def __init__(self, folder: Path | None = None) -> None:
        """``folder``: ``<table>.yaml`` of the default registry, ``<bucket>/<table>.yaml`` of any."""
        self._folder = folder
        self.told: Told | None = None
        """Of a stack, where there is one."""

    async def all(self, registry: str, *, is_default: bool) -> dict[str, Config]:
        """By the tables' names. What a file declares comes before what the stack has under the same name. Raises Misconfigured
        for a folder that cannot be read, and as the stack does."""
        here = await self._of_folder(registry, is_default=is_default)
        return {**await self._of_stack(registry), **here}

    async def find(self, registry: str, name: str, *, is_default: bool) -> Config | None:
        """The one of that name, in whatever case. The stack is asked where no file declares it. Raises as ``all``."""
        here = await self._of_folder(registry, is_default=is_default)
        return _named(here, name) or _named(await self._of_stack(registry), name)

    async def _of_folder(self, registry: str, *, is_default: bool) -> dict[str, Config]:
        if self._folder is None:
            return {}
        places = ["", name_of(registry)] if is_default else [name_of(registry)]
        return await to_thread.run_sync(_read, self._folder, places)

    async def _of_stack(self, registry: str) -> dict[str, Config]:
        if self.told is None or not registry.startswith("s3://"):
            return {}
        bucket = name_of(registry)
        origin = f"the Tabulator tables of {bucket} in its stack (admin_tabulator)"
        found = await in_thread(partial(self.told, bucket))
        return {name: Config(name, text, origin) for name, text in found.items()}


def _named(configs: Mapping[str, Config], name: str) -> Config | None:
    return configs.get(name) or {one.lower(): known for one, known in configs.items()}.get(name.lower())


def _read(folder: Path, places: list[str]) -> dict[str, Config]:
    found: dict[str, Config] = {}
    try:
        for place in places:
            if place and not (folder / place).is_dir():
                continue
            files = [
                one for one in sorted((folder / place).iterdir()) if one.suffix in _ENDINGS and one.is_file()
            ]
            if len(files) + len(found) > _MOST_FILES:
                raise _misconfigured(f"it has more than {_MOST_FILES:,} tables")
            for one in files:
                with one.open("rb") as file:
                    text = file.read(_MOST_BYTES)
                origin = f"{f'{place}/' if place else ''}{one.name} of {VARIABLE}"
                found[one.stem] = Config(one.stem, text, origin)
    except OSError as error:
        raise _misconfigured(error.strerror or "it cannot be read") from error
    return found


def _misconfigured(why: str) -> Misconfigured:
    return Misconfigured(
        f"The folder of Tabulator tables that {VARIABLE} names cannot be used: {why}.",
        next_step=f"Set {VARIABLE} to a folder of <table>.yaml files, and of folders named by buckets with such files in them.",
    )
