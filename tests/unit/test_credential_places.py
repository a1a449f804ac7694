"""Which paths are places of credentials, however a file system lets them be spelt."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from quilt_mcp.backends.options import Options
from quilt_mcp.config import Settings
from quilt_mcp.errors import CredentialPlace
from quilt_mcp.storage.local.credentials import CredentialPlaces
from quilt_mcp.storage.local.folder import LocalFolder
from quilt_mcp.storage.local.store import LocalStore


@pytest.mark.parametrize(
    "path",
    [
        "/home/me/.ssh/id_key",
        "/mnt/backup/home/me/.ssh",
        "/home/me/.SSH/config",
        "/home/me/.\u017fsh/config",
        "/home/me/.s\u200csh/config",
        "/home/me/.ssh./config",
        "/home/me/.Config/GCloud/token.json",
        "/home/me/.docker/config.json",
        "/home/me/.kube/config",
        "/home/me/data/_netrc",
        "/home/me/Library/Keychains/login.keychain-db",
        "/proc/self/environ",
        "/proc/1/task/1/environ",
        "/run/secrets/token",
        "/data/.auth.json.x1y2.quilt-mcp",
    ],
)
def test_case_S1_a_place_of_credentials_is_known_by_any_spelling(path: str) -> None:
    with pytest.raises(CredentialPlace) as caught:
        CredentialPlaces().require_outside(Path(path))
    assert "--root" not in caught.value.next_step


@pytest.mark.parametrize(
    "path",
    [
        "/", "/home/me", "/home/me/ssh/x", "/home/me/.sshx", "/home/me/.config/other", "/home/me/gcloud", "/home/me/.env",
        "/home/me/credentials.json", "/home/me/config.yml", "/proc/cpuinfo", "/home/me/environ",
        "/home/me/.cache/huggingface/hub",
    ],
)  # fmt: skip
def test_what_is_no_such_place_is_left_alone(path: str) -> None:
    CredentialPlaces().require_outside(Path(path))


def test_case_S1_what_the_machine_names_is_closed_and_packages_of_quilt3_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """quilt3's session and configuration, this server's cache, and files that variables name; links count by where they lead."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "link/keys [1]"))
    monkeypatch.setenv("NETRC", str(tmp_path / "keys./mine"))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/one{os.pathsep}{tmp_path}/two")
    places = CredentialPlaces(Options.of(Settings(cache_dir=tmp_path / "cache")).closed)
    for name in (
        "data/Quilt/auth.json", "data/Quilt/credentials.json", "data/Quilt/CONFIG.YML", "real/keys [1]", "one", "two",
        "cache/v3-x.index", "keys./mine",
    ):  # fmt: skip
        with pytest.raises(CredentialPlace):
            places.require_outside(tmp_path / name)
    for name in ("data/Quilt/packages/x", "real/keys 1", "other/cache", "x/auth.json"):
        places.require_outside(tmp_path / name)


def test_case_S1_a_folder_within_such_a_place_is_no_root(tmp_path: Path) -> None:
    (tmp_path / ".aws/inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(".aws/inner")
    for root in (tmp_path / ".aws", tmp_path / ".aws/inner", tmp_path / "link"):
        with pytest.raises(CredentialPlace):
            LocalFolder(root)
        with pytest.raises(CredentialPlace):
            LocalStore(root)


def test_case_S1_the_home_folder_and_what_holds_it_are_no_default_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home/me"
    (home / "work").mkdir(parents=True)
    (tmp_path / "link").symlink_to(home)
    monkeypatch.setenv("HOME", str(tmp_path / "link"))
    for folder in (home, tmp_path / "link", home.parent, tmp_path, Path("/"), Path.home().resolve()):
        monkeypatch.chdir(folder)
        assert Settings().local_roots() == ()
        (notice,) = Settings().notices()
        assert notice.startswith("no_root: ") and "--root" in notice
        assert Settings(roots=(home,)).local_roots() == (home,), "what was asked for is kept"
    monkeypatch.chdir(home / "work")
    assert Settings().local_roots() == (home / "work",)
    assert Settings().notices() == ()
