"""How long writers that lost a swap wait, with the longest wait in the place of a random one."""

from __future__ import annotations

from quilt_mcp.registry.writing.backoff import Backoff


def longest(least: float, most: float) -> float:
    assert least == 0
    return most


def test_the_bound_grows_with_each_loss_up_to_thirty_two_attempts() -> None:
    backoff = Backoff(longest)
    assert [backoff.wait(0.5) for _ in range(6)] == [0.5, 2.0, 8.0, 16.0, 16.0, 16.0]


def test_the_bound_follows_how_long_the_last_attempt_took() -> None:
    backoff = Backoff(longest)
    assert [backoff.wait(took) for took in (1.0, 0.25, 0.5)] == [1.0, 1.0, 8.0]


def test_no_wait_is_longer_than_half_a_minute_or_than_the_attempt() -> None:
    backoff = Backoff(longest)
    assert [backoff.wait(20.0) for _ in range(3)] == [20.0, 30.0, 30.0]
    assert backoff.wait(45.0) == 45.0


def test_waits_are_random_below_the_bound() -> None:
    backoffs = [Backoff() for _ in range(50)]
    waits = {backoff.wait(1.0) for backoff in backoffs}
    assert len(waits) > 1
    assert all(0 <= wait <= 1 for wait in waits)
