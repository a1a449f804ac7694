"""Hypothesis profiles, and the one place that sets them: tests do not override them. And which tests coverage is measured of."""

from __future__ import annotations

import os
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
