"""A double with the four tables of the bucket ``b``, and a client of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from athena.four_tables import ROWS, stored
from parts.athena_double import Account, Served, athena_double
from quilt_mcp.athena.athena import Athena
from quilt_mcp.athena.clients import athena_client
from quilt_mcp.athena.places import AthenaSettings
from quilt_mcp.athena.tables import FOUR_TABLES
from quilt_mcp.storage.s3.clients import AwsKeys


def account_with_rows() -> Account:
    tables = {
        f"b_{name}": (FOUR_TABLES[name], [[stored(value) for value in row] for row in rows])
        for name, rows in ROWS.items()
    }
    numbers = ({"n": "BIGINT", "word": "VARCHAR"}, [[n, f"word {n}"] for n in range(2_500)])
    odd = (
        {
            "big": "BIGINT",
            "real": "DOUBLE",
            "truth": "BOOLEAN",
            "at": "TIMESTAMP",
            "bytes": "VARBINARY",
            "exact": "DECIMAL(20, 2)",
        },
        [
            [1 << 60, float("inf"), 1, "2026-01-01 10:00:00.000", "0a ff", "1.50"],
            [None, None, None, None, None, None],
            [-3, 0.5, 0, "2026-01-01 10:00:00.250000", "", "12345678901234567890.12"],
        ],
    )
    return Account({**tables, "numbers": numbers, "odd": odd})


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    nobodys = Account()
    with athena_double(nobodys) as found:
        yield found
    nobodys.close()


@pytest.fixture(scope="session")
def client(served: Served) -> Iterator[Any]:
    """Keys are given, nothing of the environment's. Made once, as reading botocore's models takes a while."""
    found = athena_client(lambda: AwsKeys("key", "secret"), endpoint_url=served.url)
    yield found
    found.close()


@pytest.fixture
def account(served: Served) -> Iterator[Account]:
    found = served.account = account_with_rows()
    yield found
    found.close()


@pytest.fixture
def make_athena(account: Account, client: Any) -> Callable[..., Athena]:
    """Waits are short."""

    def make(settings: AthenaSettings | None = None, **given: Any) -> Athena:
        return Athena(lambda: client, settings, **{"buckets": ("b",), "pause": 0.005, **given})

    return make
