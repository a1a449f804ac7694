"""Long work tells how far it is: case P6 of the cases."""

from __future__ import annotations

import os
import re
from dataclasses import replace

from ops_base import OpsContract, inline

from quilt_mcp.domain.address import PackageUri
from quilt_mcp.domain.plan import CopyRequest, CreateRequest, Source


class ProgressContract(OpsContract):
    async def test_case_P6_progress_is_told_within_a_large_file(self) -> None:
        """Every few megabytes, in making, making again, copying, verifying, installing and installing again. (What turns out
        not to be needed, as what is stored already, is told in one step.)"""
        size, step = 40 << 20, 9 << 20
        self.write_files({"large": os.urandom(size)}, "data")
        package, copied = self.uri("a/large"), PackageUri(self.other_registry, "a/copied")
        request = CreateRequest(package, sources=(Source(f"{self.folder}/data/"),), overwrite=True)
        changed = CreateRequest(package, sources=request.sources, files=inline({"f": "1"}), overwrite=True)
        dest = str(self.dest)
        for call in (
            lambda progress: self.ops.create(request, progress),
            lambda progress: self.ops.create(changed, progress),
            lambda progress: self.ops.copy(CopyRequest(package, copied), progress),
            lambda progress: self.ops.verify(package, progress=progress),
            lambda progress: self.ops.install(package, dest, progress=progress),
            lambda progress: self.ops.install(package, dest, progress=progress),
        ):
            told = [0.0]

            async def progress(done: float, total: float | None, message: str) -> None:
                told.append(done)  # noqa: B023 - used within this turn of the loop

            await call(progress)
            assert told == sorted(told)
            assert told[-1] >= size
            assert len({*told}) > size // step, told

    async def test_case_P6_files_done_are_counted_beside_the_bytes(self) -> None:
        """Small files, one in pieces and one of no bytes; of a single file there is nothing to count."""
        large = os.urandom(9 << 20)
        self.write_files({f"{number:02}.txt": b"x" * number for number in range(40)} | {"z": large}, "data")
        package, copied = self.uri("a/many"), PackageUri(self.other_registry, "a/copied")
        request = CreateRequest(package, sources=(Source(f"{self.folder}/data/"),))
        alone = replace(package, path="z")
        for files, call in (
            (41, lambda progress: self.ops.create(request, progress)),
            (41, lambda progress: self.ops.copy(CopyRequest(package, copied), progress)),
            (41, lambda progress: self.ops.verify(package, progress=progress)),
            (1, lambda progress: self.ops.verify(alone, progress=progress)),
            (1, lambda progress: self.ops.install(alone, str(self.dest), progress=progress)),
            (40, lambda progress: self.ops.install(package, str(self.dest), progress=progress)),
        ):
            messages: list[str] = []

            async def progress(done: float, total: float | None, message: str) -> None:
                messages.append(message)  # noqa: B023 - used within this turn of the loop

            await call(progress)
            counted = [found[1] for message in messages if (found := re.search(r", (\d+) of ", message))]
            assert [int(one) for one in counted] == sorted(int(one) for one in counted)
            assert messages[-1].endswith(f", {files} of {files} files") == (files > 1), messages[-5:]
