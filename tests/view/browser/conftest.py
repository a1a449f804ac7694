"""One registry, one browser, one server of each kind for all tests of the view: they are one group, of one worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chromium import Driver
from served import Chat, Pages, Place, chat_of, made_by_quilt3, pages_of


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return made_by_quilt3(tmp_path_factory.mktemp("viewed"))


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    started = Driver(tmp_path_factory.mktemp("chromium"))
    yield started
    started.close()


@pytest.fixture(scope="session")
def pages(place: Place) -> Iterator[Pages]:
    with pages_of(place) as served:
        yield served


@pytest.fixture(scope="session")
def chat(place: Place) -> Iterator[Chat]:
    with chat_of(place) as served:
        yield served
