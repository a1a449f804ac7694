"""The child: it is locked down, then takes a query apart, then runs it; each a line of JSON asked and a line answered.

<- {"id": 1, "do": "parse", "sql": ...}
-> {"id": 1, "answer": {"tree": ..., "text": ...}}
<- {"id": 2, "do": "run", "files": [[name, size, is_held], ...], "views": [...], ...}      with descriptors on the second socket
-> {"id": 2, "answer": {...}} or {"id": 2, "fault": {"kind", "message", "details"}}

All of that on the first of its sockets; the others are for ranges. It ends with its parent, and when nobody asks for a while.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import socket
import sys
from contextlib import ExitStack
from typing import Any, Final

from quilt_mcp.lockdown.lock import Bounds, Held, lock_down
from quilt_mcp.sql.inside import engine, files, packed, zones
from quilt_mcp.sql.inside.comparing.tables import Comparison
from quilt_mcp.sql.inside.declared import DeclaredTable
from quilt_mcp.sql.inside.fault import Fault
from quilt_mcp.sql.inside.files import PROTOCOL, HeldFile, HeldFiles, Ranges, channels_of
from quilt_mcp.sql.inside.parsing import parse
from quilt_mcp.sql.inside.quoting import identifier
from quilt_mcp.sql.inside.tables.making import Tables
from quilt_mcp.sql.inside.tables.named import Named
from quilt_mcp.sql.inside.watch import watch

_BOUNDS: Final = Bounds(files=1_100, file=1 << 30)
_MOST_AT_ONCE: Final = 200
"""Descriptors that one message carries."""


def main() -> None:
    given: dict[str, Any] = json.loads(sys.argv[1])
    stand_ins()
    held = lock_down(_BOUNDS, kernel=given["kernel"])
    watch(given["sockets"][0], _BOUNDS.memory)
    _Child(given, held).serve()
    os._exit(0)  # threads of the engine's are not waited for


def stand_ins() -> None:
    """For packages that the engine looks for."""
    zones.install()
    files.install()


class _Child:
    def __init__(self, given: dict[str, Any], held: Held) -> None:
        self._settings: bool = given["settings"]
        self._idle: float = given["idle"]
        control, hands, *channels = given["sockets"]
        self._control = socket.socket(fileno=control)
        self._requests = self._control.makefile("rb")
        self._hands = socket.socket(fileno=hands)
        self._channels = channels_of(channels)
        self._held = held
        self._engine: Any = None
        """Without files yet."""
        self._over = ExitStack()
        """What the last run used."""

    def serve(self) -> None:
        self._tell({"id": 0, "answer": {"layers": self._held.told()}})
        if not select.select([self._control], [], [], 0)[0]:
            self._warm_up()
        if not select.select([self._control], [], [], self._idle)[0]:
            return
        while True:
            line = self._requests.readline()
            if not line:
                return
            asked = json.loads(line)
            self._tell({"id": asked["id"], **self._answer_to(asked)})
            self._over.close()

    def _warm_up(self) -> None:
        """What every query begins with, while nobody waits; and what the engine imports in the middle of some."""
        parse(self._begun(), "SELECT 1")
        for name in ("uuid", "zoneinfo"):
            importlib.import_module(name)

    def _begun(self) -> Any:
        if self._engine is None:
            self._engine = engine.begun(settings=self._settings)
        return self._engine

    def _tell(self, message: dict[str, Any]) -> None:
        self._control.sendall(json.dumps(message).encode() + b"\n")

    def _answer_to(self, asked: dict[str, Any]) -> dict[str, Any]:
        try:
            if asked["do"] == "parse":
                return {"answer": parse(self._begun(), asked["sql"])}
            return {"answer": self._run(asked)}
        except Fault as fault:
            return {"fault": {"kind": fault.kind, "message": str(fault), "details": fault.details}}
        except MemoryError:
            return {
                "fault": {
                    "kind": "memory",
                    "message": "It takes more memory than a query may have.",
                    "details": {},
                }
            }
        except RecursionError:
            return {"fault": {"kind": "deep", "message": "It is nested too deeply.", "details": {}}}
        except Exception as error:  # noqa: BLE001 - whatever the engine's values do to Python
            said = f"{type(error).__name__}: {str(error).partition('Traceback')[0]}"[:500]
            return {"fault": {"kind": "engine", "message": said, "details": {"exception": "Python"}}}

    def _run(self, asked: dict[str, Any]) -> dict[str, Any]:
        held = self._take(asked["files"])
        paths = [f"{PROTOCOL}://{number}/{one.name}" for number, one in enumerate(held)]
        connection, self._engine = self._begun(), None
        self._over.callback(connection.close)  # the first to go: its threads read no more then
        filesystem = HeldFiles(held, Ranges(asked["id"], self._channels))
        for path in paths:
            if path.endswith(".zst"):
                packed.require_whole(filesystem.open(path), path)
        engine.give_files(
            connection,
            filesystem,
            paths,
            asked["seconds"],
            settings=self._settings,
            reads_ahead=not asked["is_bounded"],
        )
        is_asked = asked["what"] in ("rows", "save", "compare")
        named = Named(asked["columns"], asked["sql"]) if is_asked else None
        tables = Tables(connection, filesystem, paths, [one.size for one in held], named, asked["seconds"])
        tables.make(asked["views"], are_compared=asked["what"] == "compare")
        declared = [
            DeclaredTable(connection, one["path"], one["declared"], paths) for one in asked["declared"]
        ]
        notes = [note for one in declared for note in one.make()]
        try:
            answer = self._answer(connection, asked, paths, tables)
        except Fault as fault:
            tables.blame(fault)
            for one in declared:
                one.blame(fault)
            raise
        return {**answer, "notes": [*notes, *tables.notes()]}

    def _answer(
        self, connection: Any, asked: dict[str, Any], paths: list[str], tables: Tables
    ) -> dict[str, Any]:
        parameters = asked.get("parameters")
        room = {"limit": asked["limit"], "room": asked["room"], "longest": asked["longest"]}
        match asked["what"]:
            case "columns":
                return {
                    "tables": [
                        engine.columns_of(connection, f"SELECT * FROM {identifier(one)}", None)
                        for one in asked["names"]
                    ]
                }
            case "explain":
                return {"plan": engine.explain(connection, asked["sql"], parameters)}
            case "page":
                return engine.page(
                    connection, paths[0], asked["types"], asked["offset"], most=asked["most"], **room
                )
            case "compare":
                return Comparison(
                    connection,
                    paths,
                    [one["name"] for one in asked["views"]],
                    [tables.read_as_text(one["name"]) for one in asked["views"]],
                    asked["comparison"],
                ).result()
            case "save":
                return engine.keep(connection, asked["sql"], parameters, None, asked["form"])
            case _:
                kept = engine.keep(connection, asked["sql"], parameters, asked["most"], "rows")
                path = os.path.join(os.getcwd(), engine.RESULT)
                return {
                    "columns": kept["columns"],
                    **engine.page(
                        connection,
                        path,
                        [kind for _, kind in kept["columns"]],
                        asked["offset"],
                        most=asked["most"],
                        **room,
                    ),
                }

    def _take(self, files: list[list[Any]]) -> list[HeldFile]:
        """The files of a query, with the descriptors that came along."""
        wanted = sum(1 for _, _, is_held in files if is_held)
        descriptors: list[int] = []
        while len(descriptors) < wanted:
            some = min(_MOST_AT_ONCE, wanted - len(descriptors))
            _, came, _, _ = socket.recv_fds(self._hands, 1, some)
            for one in came:
                self._over.callback(os.close, one)
            if len(came) != some:
                raise Fault("open_files", "More files than a process may hold open.")
            descriptors += came
        free = iter(descriptors)
        return [HeldFile(name, size, next(free) if is_held else None) for name, size, is_held in files]
