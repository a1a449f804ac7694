"""quilt3 8.0 as the other client: each script in its own process and home, so that nothing of it stays in ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from parts.s3_access import S3Access
from parts.unmeasured import unmeasured

_FRAME = """\
import json, sys
import quilt3
arguments = json.loads(sys.argv[1])
result = None
{script}
print("RESULT:" + json.dumps(result))
"""


class Quilt3Failed(Exception):
    """The script ended with an exception; its standard error is the message."""


class Quilt3:
    """A script sees ``quilt3`` and ``arguments`` (what was given by name), and sets ``result`` to something JSON can say."""

    def __init__(self, home: Path, access: S3Access | None = None) -> None:
        self.home = home
        inherited = {
            name: value
            for name, value in unmeasured().items()
            if not name.startswith(("AWS_", "QUILT_", "XDG_"))
        }
        self.environment = inherited | {
            "HOME": str(home),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "QUILT_DISABLE_USAGE_METRICS": "true",
            "QUILT_MINIMIZE_STDOUT": "true",
            "PYTHONWARNINGS": "ignore",
        }
        if access:
            self.environment |= access.environment()

    def start(self, script: str, **arguments: Any) -> subprocess.Popen[str]:
        """For scripts that run beside the test. The caller waits for the process; ``finish`` takes its result."""
        self.home.mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(
            [sys.executable, "-c", _FRAME.format(script=script), json.dumps(arguments)],
            env=self.environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @staticmethod
    def finish(process: subprocess.Popen[str], timeout: float = 110) -> Any:
        try:
            out, error = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        line = next((line for line in out.splitlines() if line.startswith("RESULT:")), None)
        if process.returncode or line is None:
            raise Quilt3Failed(error[-4000:])
        return json.loads(line.removeprefix("RESULT:"))

    def run(self, script: str, *, timeout: float = 110, **arguments: Any) -> Any:
        return self.finish(self.start(script, **arguments), timeout)


_LOOP = """\
import contextlib, functools, io, json, os, sys, traceback
import boto3
import quilt3
boto3.Session = functools.lru_cache(boto3.Session)  # which otherwise reads what it knows of S3 anew for each call, half a second
for line in sys.stdin:
    asked = json.loads(line)
    os.chdir(asked["folder"])
    scope = {"quilt3": quilt3, "json": json, "arguments": asked["arguments"], "result": None}
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(asked["script"], scope)
        answer = {"result": scope["result"]}
    except Exception:
        answer = {"failed": traceback.format_exc()}
    print(json.dumps(answer), flush=True)
"""


class Quilt3Server:
    """quilt3 in one process for many scripts, each in a folder and with names of its own: importing it takes a second. What it
    keeps between them (its cache, its clients) is all of one user."""

    def __init__(self, home: Path, access: S3Access) -> None:
        self._home = home
        self._count = 0
        home.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LOOP],
            env=Quilt3(home, access).environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, script: str, **arguments: Any) -> Any:
        """Raises Quilt3Failed."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._count += 1
        folder = self._home / str(self._count)
        folder.mkdir()
        asked = {"script": script, "arguments": arguments, "folder": str(folder)}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise Quilt3Failed("the process has ended")
        answer = json.loads(line)
        if "failed" in answer:
            raise Quilt3Failed(answer["failed"][-4000:])
        return answer["result"]

    def close(self) -> None:
        self._process.communicate(timeout=10)
