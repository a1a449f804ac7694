"""So many requests a second, so many at once, by user."""

from __future__ import annotations

from contextlib import ExitStack

from quilt_mcp.server.users import fair_use
from quilt_mcp.server.users.fair_use import BURST_SECONDS, FairUse


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_served_and_then_the_rate() -> None:
    clock = Clock()
    use = FairUse(5, 100, clock=clock)
    served = 0
    for _ in range(100):
        with use.turn("ada") as refusal:
            served += refusal is None
    assert served == 5 * BURST_SECONDS
    with use.turn("ada") as refusal:
        assert refusal is not None
        assert refusal.status == 429
        assert "QUILT_MCP_USER_RATE" in refusal.why
        assert dict(refusal.headers)[b"retry-after"] == b"1"
    with use.turn("bob") as refusal:
        assert refusal is None, "each user has their own"
    clock.now += 1
    served = 0
    for _ in range(100):
        with use.turn("ada") as refusal:
            served += refusal is None
    assert served == 5


def test_so_many_are_at_work_at_once_and_one_that_ends_makes_room() -> None:
    use = FairUse(100, 3)
    with ExitStack() as three:
        for _ in range(3):
            assert three.enter_context(use.turn("ada")) is None
        with use.turn("ada") as refusal:
            assert refusal is not None and refusal.status == 429
            assert "QUILT_MCP_USER_CALLS" in refusal.why
    with use.turn("ada") as refusal:
        assert refusal is None


def test_a_bounded_number_of_users_is_counted() -> None:
    use = FairUse(5, 3)
    for number in range(fair_use._MOST + 50):
        with use.turn(f"user {number}"):
            pass
    assert len(use._uses) == fair_use._MOST
