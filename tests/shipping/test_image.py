"""The image's steps, replayed in an empty folder, and the server that comes of them.

No daemon builds the image itself here. The server runs without root's powers in folders that it may not write to, as in the
image; but as the account of the tests, since another may not reach their Python.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dockerfile import Image, last, steps

pytestmark = pytest.mark.xdist_group("image")
USER = 10001
WITHOUT_POWERS = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    made = Image(tmp_path_factory.mktemp("image"), online=False)
    made.build()
    root = made.folder / "opt"
    places = [root, *(one for one in root.rglob("*") if one.is_dir() and not one.is_symlink())]
    for place in places:
        place.chmod(0o555)
    yield made
    for place in places:
        place.chmod(0o755)


def confined(command: list[str]) -> list[str]:
    """As an account that is not root: what is not its own to write, it cannot write."""
    if os.geteuid() != 0:
        return command
    if shutil.which(WITHOUT_POWERS[0]) is None:
        pytest.skip("as root, it takes setpriv (util-linux)")
    return [*WITHOUT_POWERS, *command]


def environment(image: Image, **more: str) -> dict[str, str]:
    own = {name: image.inside(value) for name, value in image.environment.items()}
    return {"PATH": "/usr/bin:/bin", **own, **more}


def server(image: Image) -> list[str]:
    return [*image.argv(last("ENTRYPOINT")), *image.argv(last("CMD"))]


def test_the_steps_build_a_wheel_and_install_that_file(image: Image) -> None:
    [wheel] = (image.folder / "wheels").iterdir()
    assert wheel.suffix == ".whl"
    assert any("--no-index" in step and "/wheels/*.whl" in step for step in image.ran)
    assert not (image.folder / "opt/quilt-mcp/bin/pip").exists(), "what serves installs nothing"


def test_each_requirement_comes_with_its_hash() -> None:
    asks = [rest for word, rest in steps() if word == "RUN" and " install " in rest]
    assert len(asks) == 3
    assert all("--require-hashes" in one or "--no-index" in one for one in asks)


def test_no_secret_stands_in_the_image_and_its_account_is_a_number() -> None:
    told = " ".join(rest for word, rest in steps() if word in ("ENV", "ARG"))
    assert not any(word in told.upper() for word in ("KEY", "TOKEN", "SECRET", "PASSWORD"))
    assert last("USER") == f"{USER}:{USER}"


def test_the_server_lives_with_a_cache_alone_and_ends_when_told(image: Image) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = environment(
        image,
        QUILT_MCP_PORT=str(port),
        QUILT_CATALOG_URL="https://catalog.example",
        QUILT_MCP_PUBLIC_URL="https://quilt-mcp.example",
    )
    health = confined(image.argv(last("HEALTHCHECK").partition("CMD ")[2]))
    log = image.folder / "server.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(confined(server(image)), cwd="/", env=told, stderr=stderr)
    try:
        assert _answer(port, process, log) == (200, b"alive\n")
        assert subprocess.run(health, cwd="/", env=told, check=False).returncode == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM, log.read_text()
        asked = subprocess.run(health, cwd="/", env=told, stderr=subprocess.DEVNULL, check=False)
        assert asked.returncode != 0, "nobody answers"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def test_only_the_cache_can_be_written_to(image: Image) -> None:
    for place, writable in (("/cache", True), ("/opt/quilt-mcp", False), ("/opt/quilt-mcp/bin", False)):
        target = image.inside(place)
        done = subprocess.run(
            confined(["touch", f"{target}/probe"]), cwd="/", capture_output=True, check=False
        )
        assert (done.returncode == 0) is writable, place


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "QUILT_CATALOG_URL"),
        ({"QUILT_CATALOG_URL": "https://catalog.example"}, "QUILT_MCP_PUBLIC_URL"),
    ],
)
def test_a_server_that_lacks_a_setting_says_which_and_ends(
    image: Image, given: dict[str, str], missing: str
) -> None:
    done = subprocess.run(
        confined(server(image)),
        cwd="/",
        env=environment(image, **given),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode not in (0, 1) and missing in done.stderr, done.stderr


@pytest.mark.nightly
def test_the_steps_run_as_they_stand_with_a_package_index(tmp_path: Path) -> None:
    online = Image(tmp_path, online=True)
    online.build()
    assert len(online.ran) == sum(word == "RUN" for word, _ in steps())
    command = [*online.argv(last("ENTRYPOINT")), "status"]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd="/", env=environment(online)
    )
    assert "local" in done.stdout


def _answer(port: int, server: subprocess.Popen[bytes], log: Path) -> tuple[int, bytes]:
    """Of /healthz, once the server listens."""
    for _ in range(600):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/healthz", headers={"Host": "10.1.2.3"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except ConnectionRefusedError:
            assert server.poll() is None, log.read_text()
            time.sleep(0.05)
        finally:
            connection.close()
    raise AssertionError(log.read_text())
