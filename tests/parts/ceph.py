"""Ceph RGW 16.2, the second S3 of the tests: it checks signatures and has a real STS, and keeps no conditions on writes.

One monitor, one OSD that keeps everything in memory, one gateway, all children of the test process on free loopback ports.
They come from Debian's own packages, which ``make ceph`` installs.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from parts.s3_access import S3Access

_PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "monmaptool", "setpriv")

_SETTINGS = """\
[global]
fsid = {fsid}
mon host = [v1:127.0.0.1:{mon_port}]
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr2 = false
ms bind ipv6 = false
auth cluster required = none
auth service required = none
auth client required = none
run dir = {folder}/run
log file = {folder}/log/$name.log
admin socket = {folder}/run/$name.asok
log max recent = 1
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data avail warn = 2
mon data avail crit = 1
mon max pg per osd = 500
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0

[mon.a]
mon data = {folder}/mon
mon addr = v1:127.0.0.1:{mon_port}

[osd.0]
osd objectstore = memstore
osd data = {folder}/osd
memstore device bytes = {capacity}
osd class update on start = false
osd crush update on start = false
osd max pg log entries = 50
osd min pg log entries = 10

[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw data = {folder}/rgw
rgw dns name = localhost
rgw thread pool size = 64
rgw override bucket index max shards = 1
rgw relaxed s3 bucket names = true
rgw enable usage log = false
rgw user max buckets = 100000
rgw enable quota threads = false
rgw gc obj min wait = 1
rgw s3 auth use sts = true
rgw sts key = {sts_key}
"""


def absence() -> str | None:
    """Why this machine cannot run it, and where it can be had; None where it can be run."""
    missing = [program for program in _PROGRAMS if _path_of(program) is None]
    found = f"no {', '.join(missing)}" if missing else _version()
    if found.startswith("ceph version 16.2."):
        return None
    return f"the tests' second S3 server is Ceph 16.2, but here: {found}: `make ceph` as root on Debian 12"


def _version() -> str:
    command = [_path_of("radosgw") or "radosgw", "--version"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


@dataclass(frozen=True)
class Role:
    arn: str
    name: str


@dataclass(frozen=True)
class CephCluster:
    access: S3Access
    """A user with every right of its own."""
    settings: Path

    def admin(self, *arguments: str) -> Any:
        """Runs ``radosgw-admin`` and answers what it prints."""
        command = [_path_of("radosgw-admin") or "radosgw-admin", "-c", str(self.settings), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command[3:])}: {done.stderr.strip()[-500:]}")
        begin = done.stdout.find("{")
        return json.loads(done.stdout[begin:]) if begin >= 0 else None

    def user(self, name: str) -> S3Access:
        """A user of its own, who owns nothing yet."""
        secret = uuid.uuid4().hex
        self.admin(
            "user", "create", f"--uid={name}", f"--display-name={name}", f"--access-key={name}", f"--secret={secret}"
        )  # fmt: skip
        return S3Access(self.access.url, name, secret)

    def role(self, name: str, *, trusts: str, policy: dict[str, Any]) -> Role:
        """A role that the user ``trusts`` may assume, with ``policy`` as its rights."""
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": [f"arn:aws:iam:::user/{trusts}"]},
                    "Action": ["sts:AssumeRole"],
                }
            ],
        }
        made = self.admin(
            "role", "create", f"--role-name={name}", "--path=/", f"--assume-role-policy-doc={json.dumps(trust)}"
        )  # fmt: skip
        self.admin(
            "role-policy", "put", f"--role-name={name}", "--policy-name=rights", f"--policy-doc={json.dumps(policy)}"
        )  # fmt: skip
        return Role((made.get("Role") or made)["Arn"], name)

    def assume(self, role: Role, by: S3Access) -> S3Access:
        """Temporary keys of the role, from the gateway's own STS."""
        with by.boto("sts") as sts:
            keys = sts.assume_role(RoleArn=role.arn, RoleSessionName="test")["Credentials"]
        return S3Access(self.access.url, keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


class _Daemons:
    """The cluster's processes and its folder. ``ending`` takes all of it away again."""

    def __init__(self, ending: ExitStack, capacity: int) -> None:
        self._ending = ending
        # Unix sockets lie below this folder, and their paths may have 107 bytes at most: not below the tests' own.
        self.folder = Path(tempfile.mkdtemp(prefix="ceph-", dir="/tmp"))
        ending.callback(shutil.rmtree, self.folder, ignore_errors=True)
        for name in ("mon", "osd", "run", "log", "rgw"):
            (self.folder / name).mkdir()
        self.mon_port, self.port = _free_ports(2)
        self.fsid = str(uuid.uuid4())
        self.settings = self.folder / "ceph.conf"
        self.settings.write_text(
            _SETTINGS.format(
                fsid=self.fsid,
                folder=self.folder,
                mon_port=self.mon_port,
                port=self.port,
                capacity=capacity,
                sts_key=uuid.uuid4().hex[:16],
            )
        )
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> CephCluster:
        monmap, osd = str(self.folder / "monmap"), str(uuid.uuid4())
        address = f"[v1:127.0.0.1:{self.mon_port}]"
        self._run("monmaptool", "--create", "--fsid", self.fsid, "--addv", "a", address, monmap)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap)
        self._daemon("ceph-mon", "-i", "a")
        self._run("ceph", "--connect-timeout", "20", "osd", "new", osd)
        # By hand: an OSD that does it as it starts may ask before it knows its cluster ("wrong fsid"), and then gives up.
        self._run("ceph", "osd", "crush", "add", "osd.0", "1.0", "host=local", "root=default")
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._daemon("ceph-osd", "-i", "0")
        self._daemon("radosgw", "-n", "client.rgw")
        access = S3Access(f"http://127.0.0.1:{self.port}", "testing", "testing-secret")
        _wait_until_answering(access.url, self._running, self.folder / "log")
        cluster = CephCluster(access, self.settings)
        cluster.admin(
            "user", "create", "--uid=testing", "--display-name=testing", "--max-buckets=100000",
            f"--access-key={access.access_key}", f"--secret={access.secret_key}",
        )  # fmt: skip
        return cluster

    def _run(self, program: str, *arguments: str) -> None:
        command = [_path_of(program) or program, *arguments]
        environment = os.environ | {"CEPH_CONF": str(self.settings)}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=60, check=False, env=environment
            )
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"{' '.join(command)} did not end; {self._said()}") from error
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-800:]}; {self._said()}")

    def _daemon(self, program: str, *arguments: str) -> None:
        output = self._ending.enter_context((self.folder / "log" / f"{program}.out").open("wb"))
        # A test process that is killed cleans nothing up; what it leaves would load the machine for days.
        dies_with_us = [_path_of("setpriv") or "setpriv", "--pdeathsig", "KILL"]
        process = subprocess.Popen(
            [*dies_with_us, _path_of(program) or program, "-c", str(self.settings), "-f", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        self._ending.callback(_end, process)
        self._running.append(process)

    def _said(self) -> str:
        return _said(self.folder / "log")


@contextmanager
def ceph_cluster(capacity: int = 4 << 30, attempts: int = 3) -> Iterator[CephCluster]:
    """Starts in about ten seconds, with 130 MB of memory beside what is stored; at most ``capacity`` bytes are.

    Its daemons do not always come up together on a busy machine: then it is tried again from nothing, and said. Raises
    RuntimeError when they never do, or are not installed.
    """
    lacking = absence()
    if lacking is not None:
        raise RuntimeError(lacking)
    with ExitStack() as ending:
        for attempt in range(1, attempts + 1):
            try:
                with ExitStack() as starting:
                    cluster = _Daemons(starting, capacity).start()
                    ending.push(starting.pop_all())
                break
            except RuntimeError as error:
                print(f"Ceph did not start (attempt {attempt}): {error}", file=sys.stderr)
                if attempt == attempts:
                    raise
        yield cluster


def _wait_until_answering(
    url: str, daemons: list[subprocess.Popen[bytes]], logs: Path, seconds: float = 60
) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in daemons):
            break
        try:
            with urlopen(url, timeout=5):
                return
        except HTTPError as answer:
            answer.close()
            return
        except (URLError, OSError):
            time.sleep(0.1)  # a server of others gives no other sign
    raise RuntimeError(f"a daemon ended, or the gateway did not answer within {seconds:.0f} s; {_said(logs)}")


def _said(logs: Path) -> str:
    return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-600:]}" for path in logs.glob("*.out"))


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()  # nothing it holds is worth a longer goodbye
        process.wait(10)


def _free_ports(count: int) -> list[int]:
    """Below the range that the system gives to outgoing connections, which would take one before its daemon does."""
    with ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            candidate = held.enter_context(socket.socket())
            port = random.randrange(20_000, 32_000)
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
        return found


def _path_of(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin:/usr/bin")
