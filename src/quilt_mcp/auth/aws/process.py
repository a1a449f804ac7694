"""A profile's ``credential_process``, bounded in time: botocore waits for one without end."""

from __future__ import annotations

import subprocess
from functools import partial
from typing import Any


class BoundedProcess(subprocess.Popen[bytes]):
    """What ``communicate`` waits for is ended after ``seconds``, and TimeoutError raised."""

    def __init__(self, seconds: float, *arguments: Any, **given: Any) -> None:
        super().__init__(*arguments, **given)
        self._seconds = seconds

    def communicate(self, input: Any = None, timeout: float | None = None) -> tuple[Any, Any]:
        try:
            return super().communicate(input, timeout or self._seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            for pipe in (self.stdout, self.stderr):  # which children of its own may hold open
                if pipe is not None:
                    pipe.close()
            self.wait()
            raise TimeoutError(f"no answer within {self._seconds:g} seconds") from None


def bound_process(session: Any, profile: str, seconds: float) -> None:
    """Puts a provider that starts BoundedProcess in the place of botocore's own.

    Not bounded: the process of a profile that another one takes its role from, which botocore starts by itself.
    """
    from botocore.credentials import ProcessProvider  # pyright: ignore[reportMissingTypeStubs]

    chain = session.get_component("credential_provider")
    start: Any = partial(BoundedProcess, seconds)
    bounded: Any = ProcessProvider(profile, lambda: session.full_config, popen=start)
    chain.insert_after(bounded.METHOD, bounded)
    chain.remove(bounded.METHOD)  # the first of this name
