"""Whom the stack takes bearers for: asked once for all who wait, believed for a moment, held in a bounded number."""

from __future__ import annotations

import threading
from collections import Counter

import anyio
import pytest

from quilt_mcp.domain.people import SignedIn
from quilt_mcp.errors import AuthenticationError, Misconfigured, QuiltError, StorageUnavailable
from quilt_mcp.server.users import known_users
from quilt_mcp.server.users.known_users import KNOWN_SECONDS, MOST_REFUSED, REFUSED_SECONDS, KnownUsers

pytestmark = pytest.mark.anyio


class Registry:
    """Answers with the names and roles of ``tokens``, and counts."""

    def __init__(self, **tokens: str) -> None:
        self.tokens = tokens
        self.asked: Counter[str] = Counter()
        self.gone: list[str] = []
        self.now = 1_000.0
        self.error: QuiltError | None = None
        self.wait = threading.Event()
        self.wait.set()

    def ask(self, token: str) -> SignedIn:
        self.asked[token] += 1
        if token.startswith("stranger"):
            self.wait.wait(10)
        if self.error is not None:
            raise self.error
        if token not in self.tokens:
            raise AuthenticationError("nobody", next_step="sign in")
        return SignedIn(token, "", self.tokens[token], (), is_admin=False)

    def users(self, most: int = 10) -> KnownUsers:
        return KnownUsers(self.ask, self.gone.append, most, clock=lambda: self.now)


async def test_a_token_is_asked_about_once_while_it_is_believed() -> None:
    registry = Registry(ada="writer")
    users = registry.users()
    async with anyio.create_task_group() as group:
        for _ in range(16):
            group.start_soon(users.find, "ada")
    assert registry.asked == {"ada": 1}
    registry.now += KNOWN_SECONDS - 1
    assert (await users.find("ada")).role == "writer"
    assert registry.asked == {"ada": 1}
    registry.now += 2
    await users.find("ada")
    assert registry.asked == {"ada": 2}


async def test_less_than_a_minute_is_what_a_revoked_token_has() -> None:
    assert KNOWN_SECONDS < 60
    registry = Registry(ada="writer")
    users = registry.users()
    digest = (await users.find("ada")).digest
    registry.tokens.clear()
    registry.now += KNOWN_SECONDS + 1
    with pytest.raises(AuthenticationError):
        await users.find("ada")
    assert registry.gone == [digest], "so that what was opened for it is dropped"
    assert len(users) == 0


async def test_a_role_that_changed_drops_what_was_opened_under_the_one_before() -> None:
    registry = Registry(ada="writer")
    users = registry.users()
    before = await users.find("ada")
    registry.tokens["ada"] = "reader"
    registry.now += KNOWN_SECONDS + 1
    assert (await users.find("ada")).role == "reader"
    assert registry.gone == [before.digest]


async def test_a_refusal_is_remembered_for_a_moment_and_then_asked_again() -> None:
    registry = Registry()
    users = registry.users()
    for _ in range(5):
        with pytest.raises(AuthenticationError):
            await users.find("new")
    assert registry.asked == {"new": 1}
    registry.tokens["new"] = "reader"
    registry.now += REFUSED_SECONDS + 1
    assert (await users.find("new")).name == "new"


async def test_a_stack_that_is_down_lets_nobody_in_and_is_no_refusal() -> None:
    registry = Registry(ada="writer")
    users = registry.users()
    await users.find("ada")
    registry.error = StorageUnavailable("down", next_step="again")
    registry.now += KNOWN_SECONDS + 1
    for _ in range(3):
        with pytest.raises(StorageUnavailable):
            await users.find("ada")
    assert registry.asked["ada"] == 2
    assert registry.gone == []
    registry.error = None
    registry.now += 5
    assert (await users.find("ada")).name == "ada"


@pytest.mark.parametrize("strangers", [3_000, pytest.param(20_000, marks=pytest.mark.nightly)])
async def test_strangers_leave_nothing_behind_and_push_nobody_out(strangers: int) -> None:
    registry = Registry(ada="writer")
    users = registry.users(most=10)
    await users.find("ada")
    for number in range(strangers):
        with pytest.raises(AuthenticationError):
            await users.find(f"stranger {number}")
    assert len(users._failures) <= MOST_REFUSED
    assert len(users) == 1 and registry.gone == []
    assert not users._turns


async def test_one_user_more_takes_the_place_of_who_was_away_longest() -> None:
    registry = Registry(**dict.fromkeys("abcd", "reader"))
    users = registry.users(most=3)
    held = {name: (await users.find(name)).digest for name in "abc"}
    await users.find("a")
    await users.find("d")
    assert registry.gone == [held["b"]]


async def test_a_flood_of_strangers_keeps_nobody_waiting_who_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = Registry(ada="writer")
    users = registry.users()
    await users.find("ada")
    registry.now += KNOWN_SECONDS + 1
    registry.wait.clear()
    busy = 0

    async def stranger(number: int) -> None:
        nonlocal busy
        try:
            await users.find(f"stranger {number}")
        except AuthenticationError:
            pass
        except QuiltError:
            busy += 1

    async with anyio.create_task_group() as group:
        for number in range(300):
            group.start_soon(stranger, number)
        await anyio.sleep(0.1)
        with anyio.fail_after(5):
            assert (await users.find("ada")).name == "ada"
        registry.wait.set()
    assert busy >= 300 - known_users._STRANGERS_WAITING
    assert sum(registry.asked.values()) <= 2 + known_users._STRANGERS_WAITING


async def test_a_stranger_on_many_connections_holds_few_of_them() -> None:
    registry = Registry(ada="writer")
    users = registry.users()
    registry.wait.clear()
    ended: Counter[str] = Counter()

    async def stranger() -> None:
        try:
            await users.find("stranger")
        except QuiltError as error:
            ended[type(error).__name__] += 1

    async with anyio.create_task_group() as group:
        for _ in range(260):
            group.start_soon(stranger)
        await anyio.sleep(0.05)
        assert ended["StorageBusy"] == 260 - known_users._WAITING_OF_A_STRANGER
        registry.wait.set()
    assert ended["AuthenticationError"] == known_users._WAITING_OF_A_STRANGER
    assert not users._waiting and not users._strangers_waiting


async def test_how_long_a_token_is_believed_counts_from_the_question_not_from_its_answer() -> None:
    registry = Registry(ada="writer")
    users = registry.users()
    answer = registry.ask

    def slow(token: str) -> SignedIn:
        registry.now += 15
        return answer(token)

    users._ask = slow
    await users.find("ada")
    registry.now += KNOWN_SECONDS - 14
    await users.find("ada")
    assert registry.asked["ada"] == 2


async def test_what_can_never_be_asked_is_not_told_as_a_moments_trouble() -> None:
    registry = Registry()
    registry.error = Misconfigured("no stack", next_step="mend the setting")
    with pytest.raises(Misconfigured):
        await registry.users().find("ada")
