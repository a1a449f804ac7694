"""quilt3's session, read and refreshed by us: the same answers as the real quilt3 8.0, on the same files, at the same time."""

from __future__ import annotations

import importlib
import json
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import platformdirs
import pytest
import quilt3.session
import quilt3.util
from platformdirs import windows

from parts.quilt3_process import Quilt3
from parts.quilt_registry import QuiltRegistry
from quilt_mcp.auth.quilt3_files import AUTH, CONFIG, CREDENTIALS, Quilt3Files
from quilt_mcp.auth.quilt3_session import Quilt3Session
from quilt_mcp.auth.registry_http import RegistryHttp
from quilt_mcp.config import quilt3_folder
from quilt_mcp.errors import AuthenticationError, QuiltError

HERE = "https://registry.example"
OTHER = "https://other.example"
CATALOG = "https://catalog.example"
ENTRY = {"refresh_token": "r", "access_token": "a", "expires_at": 4e9}
ENDED = {**ENTRY, "expires_at": 1.0}

CONFIGS: dict[str, bytes | None] = {
    "no config": None,
    "an empty config": b"",
    "a registry and a catalog": f"registryUrl: {HERE}\nnavigator_url: {CATALOG}\n".encode(),
    "a registry alone": f"registryUrl: {HERE}\n".encode(),
    "a catalog alone": f"navigator_url: {CATALOG}\n".encode(),
    "a registry with a slash": f"registryUrl: {HERE}/\nnavigator_url: {CATALOG}/\n".encode(),
    "null for both": b"registryUrl:\nnavigator_url: null\n",
    "comments and more keys": f"# mine\nregion: eu-west-1\nregistryUrl: '{HERE}'\nnavigator_url: {CATALOG}\nx: [1]\n".encode(),
    "a list": b"- registryUrl\n- navigator_url\n",
    "broken YAML": b"registryUrl: [\n",
    "other bytes": b"registryUrl: \xff\xfe\n",
    "keys twice": f"registryUrl: {OTHER}\nregistryUrl: {HERE}\nnavigator_url: {CATALOG}\n".encode(),
}
AUTHS: dict[str, bytes | None] = {
    "no auth": None,
    "signed out": b"{}",
    "signed in here": json.dumps({HERE: ENTRY}).encode(),
    "signed in elsewhere": json.dumps({OTHER: ENTRY}).encode(),
    "signed in at both": json.dumps({OTHER: ENTRY, HERE: ENTRY}, indent=2).encode(),
    "ended": json.dumps({HERE: ENDED}).encode(),
    "an empty file": b"",
    "cut off": json.dumps({HERE: ENTRY}).encode()[:-9],
    "with a slash": json.dumps({HERE + "/": ENTRY}).encode(),
    "a number": b"7",
}


def outcome(ask: Callable[[], Any], failures: tuple[type[Exception], ...]) -> Any:
    try:
        return ask()
    except failures as error:
        return f"raises ({type(error).__name__})" if failures == (QuiltError,) else "raises"


@pytest.fixture
def folder() -> Iterator[Path]:
    """The folder of the quilt3 that is imported here."""
    base = Path(quilt3.util.BASE_PATH)
    kept = {name: base / name for name in (CONFIG, AUTH, CREDENTIALS)}
    base.mkdir(parents=True, exist_ok=True)
    yield base
    for path in kept.values():
        path.unlink(missing_ok=True)


@pytest.mark.sampled(51)
@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("auth", AUTHS)
def test_who_is_signed_in_and_where_is_what_quilt3_says(folder: Path, config: str, auth: str) -> None:
    for name, content in ((CONFIG, CONFIGS[config]), (AUTH, AUTHS[auth])):
        if content is not None:
            (folder / name).write_bytes(content)
    files = Quilt3Files(folder)
    anything = (Exception,)
    for ours, theirs in (
        (files.registry_url, quilt3.session.get_registry_url),
        (files.logged_in, quilt3.logged_in),
    ):
        said = outcome(theirs, anything)
        assert outcome(ours, (AuthenticationError,)) == said


@pytest.mark.parametrize(
    "auth",
    [
        json.dumps([HERE]),
        json.dumps(HERE),
        json.dumps({HERE: None}),
        json.dumps({HERE: []}),
        json.dumps({HERE: {}}),
        json.dumps({HERE: {"refresh_token": "r", "access_token": "a"}}),
        json.dumps({HERE: {**ENTRY, "expires_at": "soon"}}),
        json.dumps({HERE: {**ENTRY, "expires_at": None}}),
    ],
)
def test_what_quilt3_takes_for_a_session_and_cannot_use_is_told(folder: Path, auth: str) -> None:
    (folder / CONFIG).write_bytes(CONFIGS["a registry and a catalog"] or b"")
    (folder / AUTH).write_text(auth)
    assert quilt3.logged_in() == CATALOG
    quilt3.session.clear_session()
    try:
        usable = quilt3.session._create_auth() is not None
    except (AttributeError, LookupError, TypeError, quilt3.util.QuiltException):
        usable = False
    assert not usable
    with pytest.raises(AuthenticationError, match=r"auth\.json") as caught:
        Quilt3Session(Quilt3Files(folder), RegistryHttp()).saved()
    assert "quilt-mcp login" in caught.value.next_step


@pytest.fixture
def registry() -> Iterator[QuiltRegistry]:
    with QuiltRegistry() as made:
        yield made


class Home:
    """quilt3 in processes of its own, and us, over one folder."""

    def __init__(self, home: Path, registry: QuiltRegistry) -> None:
        self.quilt3 = Quilt3(home)
        self.folder = home / "data" / "Quilt"
        self.registry = registry
        self.folder.mkdir(parents=True)
        (self.folder / CONFIG).write_text(
            f"registryUrl: {registry.url}\nnavigator_url: {CATALOG}\nregion: eu-west-1\n"
        )

    def sign_in(self, expires_in: float = 3600.0) -> None:
        self.write_auth({OTHER: ENTRY, self.registry.url: self.registry.entry(expires_in)})

    def write_auth(self, content: Any) -> None:
        (self.folder / AUTH).write_text(json.dumps(content))

    def auth(self) -> dict[str, Any]:
        return json.loads((self.folder / AUTH).read_text())

    def credentials(self) -> dict[str, Any]:
        return json.loads((self.folder / CREDENTIALS).read_text())

    def session(self, **arguments: Any) -> Quilt3Session:
        return Quilt3Session(Quilt3Files(self.folder), RegistryHttp(), **arguments)

    def start(self, script: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", _OURS + script, str(self.folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


_OURS = """
import os, sys, signal
from pathlib import Path
from quilt_mcp.auth.quilt3_files import Quilt3Files
from quilt_mcp.auth.quilt3_session import Quilt3Session
from quilt_mcp.auth.registry_http import RegistryHttp
session = Quilt3Session(Quilt3Files(Path(sys.argv[1])), RegistryHttp())
"""


@pytest.fixture
def home(tmp_path: Path, registry: QuiltRegistry) -> Home:
    return Home(tmp_path, registry)


def test_a_session_that_lasts_is_used_as_it_is(home: Home, registry: QuiltRegistry) -> None:
    home.sign_in(expires_in=120)
    assert home.session().token() == registry.access_token
    assert not registry.requests


@pytest.mark.parametrize("left", [59, 0, -1e6])
def test_a_token_with_less_than_a_minute_left_is_refreshed_and_saved_for_quilt3(
    home: Home, registry: QuiltRegistry, left: float
) -> None:
    home.sign_in(expires_in=left)
    assert home.session().token() == registry.access_token
    saved = home.auth()
    assert saved[registry.url]["refresh_token"] == registry.refresh_token == "refresh-1"
    assert saved[registry.url]["access_token"] == registry.access_token
    assert saved[OTHER] == ENTRY
    assert stat.S_IMODE((home.folder / AUTH).stat().st_mode) == 0o600
    assert registry.requests == {"/api/token": 1}
    assert not list(home.folder.glob(".auth.json.*"))


def test_quilt3_and_we_take_turns_on_the_same_files(home: Home, registry: QuiltRegistry) -> None:
    """Each refresh by one is found and built on by the other; nobody is signed out."""
    registry.seconds = 30  # too short for either: each turn refreshes
    home.sign_in(expires_in=0)
    theirs = """
session = quilt3.session.get_session()
quilt3.session._refresh_credentials()
result = [quilt3.logged_in(), session.headers["Authorization"]]
"""
    for turn in range(1, 5):
        if turn % 2:
            assert home.session().token() == registry.access_token
        else:
            catalog, header = home.quilt3.run(theirs)
            assert (catalog, header) == (CATALOG, f"Bearer {registry.access_token}")
        assert registry.number == turn
        assert home.auth()[OTHER] == ENTRY
    assert registry.reused == []


def test_quilt3_works_with_the_keys_we_saved_and_we_with_those_it_saved(
    home: Home, registry: QuiltRegistry
) -> None:
    home.write_auth({registry.url: registry.entry()})
    keys = home.session().keys()
    assert (keys.access_key, keys.token) == ("ASIAQUILTKEY00000000", "session-0")
    assert stat.S_IMODE((home.folder / CREDENTIALS).stat().st_mode) == 0o600
    read = """
found = quilt3.get_boto3_session(fallback=False).get_credentials().get_frozen_credentials()
result = [found.access_key, found.secret_key, found.token]
"""
    assert home.quilt3.run(read) == [keys.access_key, keys.secret_key, keys.token]
    assert registry.requests == {"/api/auth/get_credentials": 1}
    home.quilt3.run("quilt3.session._refresh_credentials()")
    again = home.session().keys()
    assert (again.access_key, again.secret_key) == (keys.access_key, keys.secret_key)
    assert registry.requests == {"/api/auth/get_credentials": 2}


def test_keys_are_asked_for_anew_a_quarter_of_an_hour_before_they_end(
    home: Home, registry: QuiltRegistry
) -> None:
    home.write_auth({registry.url: registry.entry(expires_in=1e6)})
    session = home.session()
    first = session.keys()
    assert session.keys() is not None and registry.requests["/api/auth/get_credentials"] == 1
    assert first.expires is not None
    later = home.session(clock=lambda: first.expires.timestamp() - 14 * 60)
    later.keys()
    assert registry.requests["/api/auth/get_credentials"] == 2


def test_keys_that_may_be_those_of_another_registry_are_not_used(home: Home, registry: QuiltRegistry) -> None:
    """credentials.json holds one set, of whichever registry gave it last."""
    (home.folder / CREDENTIALS).write_text(
        json.dumps(
            {
                "access_key": "ELSEWHERE",
                "secret_key": "s",
                "token": "t",
                "expiry_time": "2099-01-01T00:00:00+00:00",
            }
        )
    )
    home.sign_in()
    assert home.session().keys().access_key == "ASIAQUILTKEY00000000"
    assert home.credentials()["access_key"] == "ASIAQUILTKEY00000000"


def test_keys_that_still_hold_are_used_while_the_registry_is_out_of_reach(
    home: Home, registry: QuiltRegistry
) -> None:
    registry.keys_for = registry.keys_for / 6  # ten minutes: already to be renewed
    home.write_auth({registry.url: registry.entry()})
    keys = home.session().keys()
    registry.answers["/api/auth/get_credentials"] = (503, {}, b"")
    assert home.session().keys() == keys


def test_a_token_refused_before_its_time_is_refreshed_once(home: Home, registry: QuiltRegistry) -> None:
    home.sign_in()
    registry.access_token = "revoked.the.old"
    assert home.session().keys().access_key == "ASIAQUILTKEY00000001"
    assert registry.requests["/api/token"] == 1


def test_two_processes_that_refresh_at_once_send_one_request(home: Home, registry: QuiltRegistry) -> None:
    home.sign_in(expires_in=0)
    registry.held = threading.Event()
    script = """
locked = session._files.locked
def telling():
    print("locking", flush=True)
    return locked()
session._files.locked = telling
print(session.token())
"""
    first = home.start(script)
    assert registry.arrived.wait(30)
    second = home.start(script)
    assert (
        second.stdout is not None and second.stdout.readline()
    )  # it has read the old token, and meets the lock
    registry.held.set()
    said = [process.communicate(timeout=60) for process in (first, second)]
    assert [out.split()[-1] for out, _ in said] == [registry.access_token] * 2, said
    assert registry.requests["/api/token"] == 1
    assert registry.reused == []


def test_a_token_that_quilt3_used_first_is_no_sign_out(home: Home, registry: QuiltRegistry) -> None:
    """quilt3 takes no lock: it has traded the token, and saves the new one only after ours was refused."""
    home.sign_in(expires_in=0)
    registry.held = threading.Event()
    theirs = home.quilt3.start("result = quilt3.session.get_session().headers['Authorization']")
    assert registry.arrived.wait(60)
    held, registry.held = registry.held, None
    answers: list[Any] = []
    session = home.session()
    ours = threading.Thread(target=lambda: answers.append(outcome(session.token, (QuiltError,))))
    ours.start()
    assert registry.refused.wait(30)
    held.set()
    assert Quilt3.finish(theirs) == f"Bearer {registry.access_token}"
    ours.join(30)
    assert answers == [registry.access_token]
    assert home.auth()[registry.url]["refresh_token"] == registry.refresh_token


def test_a_kill_in_mid_save_leaves_a_whole_file_and_every_other_entry(
    home: Home, registry: QuiltRegistry
) -> None:
    """At every call that touches the disk, one after the other, until none is left to be killed at."""
    script = """
at, names = int(sys.argv[2]), ("open", "write", "fsync", "fchmod", "replace", "close", "unlink")
seen = 0
def counted(call):
    def counting(*arguments, **named):
        global seen
        seen += 1
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **named)
    return counting
session.token
from quilt_mcp.auth import quilt3_files
import httpx2, yaml, socket, ssl
exchange = session._registry.exchange
def exchanged(*arguments):
    new = exchange(*arguments)
    for name in names:
        setattr(os, name, counted(getattr(os, name)))
    return new
session._registry.exchange = exchanged
session.token()
"""
    left_something = False
    for at in range(1, 30):
        registry.refresh_token, registry.number = "refresh-0", 0
        home.sign_in(expires_in=0)
        process = subprocess.run(
            [sys.executable, "-c", _OURS + script, str(home.folder), str(at)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        saved = home.auth()
        assert saved[OTHER] == ENTRY
        assert saved[registry.url]["refresh_token"] in {"refresh-0", "refresh-1"}
        if saved[registry.url]["refresh_token"] == "refresh-1":
            assert stat.S_IMODE((home.folder / AUTH).stat().st_mode) == 0o600
        left_something = left_something or bool(list(home.folder.glob(".auth.json.*")))
        if process.returncode == 0:
            assert saved[registry.url]["refresh_token"] == "refresh-1"
            assert at > 4
            break
        assert process.returncode == -signal.SIGKILL, process.stderr
    else:
        raise AssertionError("never ended")
    # What the killed ones left was swept by the next that saved.
    assert left_something
    assert list(home.folder.glob(".auth.json.*")) == []


def test_a_folder_that_takes_no_file_costs_no_token(home: Home, registry: QuiltRegistry) -> None:
    home.sign_in(expires_in=0)
    (
        home.folder / ".quilt-mcp.lock"
    ).mkdir()  # root may write to any folder, and nobody may write to this one as a file
    with pytest.raises(AuthenticationError, match="could not be saved") as caught:
        home.session().token()
    assert str(home.folder) in caught.value.next_step
    assert registry.requests == {}


def test_a_token_that_cannot_be_saved_serves_this_process_on(home: Home, registry: QuiltRegistry) -> None:
    home.sign_in(expires_in=0)
    script = """
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import httpx2, yaml, ssl
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
print(session.token() == session.token(), session.token())
"""
    out, error = home.start(script).communicate(timeout=60)
    assert out.split() == ["True", registry.access_token], error
    assert "could not be saved" in error
    assert registry.requests == {"/api/token": 1}
    assert home.auth()[OTHER] == ENTRY


def test_a_link_to_a_file_elsewhere_stays_a_link(home: Home, registry: QuiltRegistry, tmp_path: Path) -> None:
    home.sign_in(expires_in=0)
    elsewhere = tmp_path / "dotfiles"
    elsewhere.mkdir()
    shutil.move(home.folder / AUTH, elsewhere / "quilt-auth.json")
    (home.folder / AUTH).symlink_to(elsewhere / "quilt-auth.json")
    home.session().token()
    assert (home.folder / AUTH).is_symlink()
    assert home.auth()[registry.url]["refresh_token"] == registry.refresh_token


def test_a_sign_out_is_seen_at_the_next_call(home: Home, registry: QuiltRegistry) -> None:
    home.write_auth({registry.url: registry.entry()})
    session = home.session()
    session.keys()
    home.quilt3.run("quilt3.logout()")
    assert session.saved() is None
    for ask in (session.token, session.keys):
        with pytest.raises(AuthenticationError, match="signed out"):
            ask()


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, {}, b'{"error": "no refresh-0 here"}'), "no longer accepts"),
        ((401, {}, b"refresh-0"), "no longer accepts"),
        ((302, {"Location": "http://127.0.0.1:1/steal"}, b""), "redirect"),
        ((500, {}, b"refresh-0"), "status 500"),
        ((200, {}, b"<html>proxy refresh-0"), "not JSON"),
        ((200, {}, b"[]"), "not a JSON object"),
        ((200, {}, b'{"access_token": "refresh-0"}'), "without tokens"),
        ((200, {}, b'{"a": "' + b"x" * (1 << 21) + b'"}'), "answers with more than"),
    ],
)
def test_a_registry_that_fails_is_told_without_its_words_or_our_token(
    home: Home, registry: QuiltRegistry, answer: tuple[int, dict[str, str], bytes], said: str
) -> None:
    registry.answers["/api/token"] = answer
    home.sign_in(expires_in=0)
    before = home.auth()
    with pytest.raises(QuiltError, match=said) as caught:
        home.session().token()
    told = f"{caught.value} {caught.value.next_step} {caught.value.details}"
    assert "refresh-0" not in told
    assert caught.value.next_step
    assert home.auth() == before


@pytest.mark.parametrize(
    "url",
    [
        "http://registry.example",
        "ftp://registry.example",
        "http://127.0.0.1.nip.example",
        "https://user:pass@registry.example",
        "registry",
        "http://[::1",
    ],
)
def test_a_token_is_sent_nowhere_but_over_https_or_to_this_machine(home: Home, url: str) -> None:
    (home.folder / CONFIG).write_text(f"registryUrl: '{url}'\n")
    home.write_auth({url: {**ENTRY, "expires_at": 0}})
    with pytest.raises(QuiltError, match="registryUrl"):
        home.session().token()


def test_neither_tokens_nor_keys_show_in_what_is_printed(home: Home, registry: QuiltRegistry) -> None:
    home.write_auth({registry.url: registry.entry()})
    session = home.session()
    keys = session.keys()
    shown = f"{session.saved()!r} {keys!r} {session!r}"
    for secret in ("refresh-0", registry.access_token, keys.secret_key, keys.token):
        assert secret and secret not in shown


@pytest.mark.parametrize(
    ("system", "module", "variables", "expected"),
    [
        ("Unix", "platformdirs.unix", {}, "HOME/.local/share/Quilt"),
        ("Unix", "platformdirs.unix", {"XDG_DATA_HOME": "/elsewhere"}, "/elsewhere/Quilt"),
        ("MacOS", "platformdirs.macos", {}, "HOME/Library/Application Support/Quilt"),
        (
            "Windows",
            "platformdirs.windows",
            {"LOCALAPPDATA": "/C/Users/ada/Local"},
            "/C/Users/ada/Local/QuiltData/Quilt",
        ),
    ],
)
def test_quilt3s_folder_is_where_each_system_keeps_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    module: str,
    variables: dict[str, str],
    expected: str,
) -> None:
    """By the same call as quilt3's, on each system's own rules."""
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        windows, "get_win_folder", windows.get_win_folder_from_env_vars
    )  # Windows itself is not here
    monkeypatch.setattr(platformdirs, "PlatformDirs", getattr(importlib.import_module(module), system))
    theirs = platformdirs.user_data_dir(quilt3.util.APP_NAME, quilt3.util.APP_AUTHOR)
    assert str(quilt3_folder()) == str(Path(theirs))
    assert theirs.replace("\\", "/") == expected.replace("HOME", str(tmp_path))
