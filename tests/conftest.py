"""Hypothesis profiles, and the one place that sets them: tests do not override them. Which sets of parameters CI takes, and which
tests coverage is measured of."""

from __future__ import annotations

import os
import zlib
from collections import defaultdict
from collections.abc import Generator

import coverage
import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["parts.fixtures"]

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("default", max_examples=50, deadline=None, suppress_health_check=_SLOW)
settings.register_profile("ci", max_examples=60, deadline=None, derandomize=True, suppress_health_check=_SLOW)
settings.register_profile("nightly", max_examples=1000, deadline=None, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


_LONG = 100


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A test's id goes to every worker and into the environment of what the test starts: a megabyte there costs time, and
    from 128 KiB on no process starts at all."""
    is_long = isinstance(val, str | bytes) and len(val) > _LONG
    return f"{argname} of {len(val)}" if is_long else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a test that is marked ``sampled(count)``, CI runs that many of its parameter sets, evenly spread, always the same, and
    the night all. Where they begin follows from the test's name: tests with the same sets take different ones of them."""
    sets: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("sampled") is not None:
            sets[item.nodeid.split("[")[0].split("@")[0]].append(item)
    for name, some in sets.items():
        mark = some[0].get_closest_marker("sampled")
        count = min(mark.args[0], len(some)) if mark is not None else len(some)
        first = zlib.crc32(name.encode())
        taken = {(first + number * len(some) // count) % len(some) for number in range(count)}
        for number, item in enumerate(some):
            if number not in taken:
                item.add_marker("nightly")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Tracing makes any Python slower by half, quilt3's too. Tests that go through what others go through already, in other
    places or with another client, are marked ``unmeasured``; all of ``interop`` are."""
    is_measured = item.get_closest_marker("unmeasured") is None and "interop" not in item.path.parts
    measuring = None if is_measured else coverage.Coverage.current()
    if measuring is not None:
        measuring.stop()
    try:
        return (yield)
    finally:
        if measuring is not None:
            measuring.start()
