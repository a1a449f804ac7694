"""Pushing many small files, pushing them again unchanged, and installing them, beside quilt3.

Each run has a bucket of its own; one process pushes, pushes again and installs. Ours verifies each installed byte.

python bench/s3_push.py [--files 2000] [--size 4096] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import random
from pathlib import Path

from s3_sides import Figures, Server, bench, our_ops, timed

PACKAGE = "team/package"


def prepare(server: Server, arguments: argparse.Namespace, side: str) -> str:
    return f"s3://{server.direct.make_bucket()}"


def write_files(arguments: argparse.Namespace) -> Path:
    folder = Path.cwd() / "files"
    chance = random.Random(1)
    for number in range(arguments.files):
        path = folder / f"folder{number % 20}" / f"file{number:06d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(arguments.size))
    return folder


def check_installed(arguments: argparse.Namespace, folder: Path, installed: Path) -> None:
    found = [path for path in installed.rglob("*") if path.is_file()]
    assert len(found) == arguments.files
    for path in found[:: max(1, len(found) // 50)]:
        assert path.read_bytes() == (folder / path.relative_to(installed)).read_bytes()


def quilt3_side(arguments: argparse.Namespace) -> Figures:
    import quilt3

    folder = write_files(arguments)
    figures: Figures = {}
    for step in ("push", "again"):
        with timed(figures, f"{step}_seconds"):
            package = quilt3.Package().set_dir("", str(folder))
            package.push(PACKAGE, registry=arguments.registry, force=True)
        if arguments.steps == step:
            return figures
    with timed(figures, "install_seconds"):
        quilt3.Package.install(PACKAGE, registry=arguments.registry, dest="installed")
    check_installed(arguments, folder, Path("installed"))
    return figures


def our_side(arguments: argparse.Namespace) -> Figures:
    from quilt_mcp.domain.address import parse_package
    from quilt_mcp.domain.plan import CreateRequest, Source

    async def work() -> Figures:
        folder = write_files(arguments)
        package = parse_package(PACKAGE, arguments.registry)
        figures: Figures = {}
        ops = our_ops(arguments.registry)
        for step in ("push", "again"):
            with timed(figures, f"{step}_seconds"):
                await ops.create(
                    CreateRequest(package, sources=(Source(f"{folder}/"),), overwrite=step == "again")
                )
            if arguments.steps == step:
                return figures
        with timed(figures, "install_seconds"):
            done = await ops.install(package, str(Path("installed").absolute()))
        assert done.installed == arguments.files
        check_installed(arguments, folder, Path("installed"))
        return figures

    return asyncio.run(work())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--size", type=int, default=4096, help="bytes of a file")
    parser.add_argument(
        "--steps", choices=["push", "again", "install"], default="install", help="the last one"
    )
    steps = ("push", "again", "install")
    last = parser.parse_known_args()[0].steps
    bench(
        "s3_push",
        __file__,
        parser,
        {"quilt3": quilt3_side, "ours": our_side},
        prepare,
        {
            "quilt3_by_ours_push_seconds": 1.8,
            "quilt3_by_ours_again_seconds": 20,
            "quilt3_by_ours_install_seconds": 1.5,
            "requests_per_file (with --steps push)": 1.1,
        },
        per_item=("files", "requests" if last == "push" else "requests_PutObject"),
        ratios=tuple(f"{step}_seconds" for step in steps[: steps.index(last) + 1]),
        servers=("moto",),  # quilt3 8.0 cannot push to a server that answers no checksum, as Ceph 16.2
    )
