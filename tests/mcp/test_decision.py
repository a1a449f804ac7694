"""Settings and the one decision: what wins, and why the others were passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from quilt_mcp.auth.decision import decide
from quilt_mcp.auth.identity import Asker
from quilt_mcp.config import Settings, quilt3_local_registry
from quilt_mcp.errors import AuthenticationError, InvalidArgument, NotSupported
from quilt_mcp.option import OPTIONS


@pytest.fixture
def quilt3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """quilt3's folder of a person who has nothing yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (tmp_path / "Quilt").mkdir()
    return tmp_path / "Quilt"


def reasons(settings: Settings, environ: dict[str, str]) -> dict[str, str]:
    identity = decide(settings, Asker(), environ)
    assert [one.chosen for one in identity.explanation] == [
        one.kind == identity.kind for one in identity.explanation
    ]
    return {one.kind: one.reason for one in identity.explanation}


def test_with_nothing_at_all_the_local_registry_of_quilt3_is_used(quilt3: Path) -> None:
    identity = decide(Settings(), Asker(), {"USER": "ada"})
    assert (identity.kind, identity.principal) == ("local", "local user ada")
    assert identity.registry == str(quilt3 / "packages")


def test_the_registry_that_quilt3_is_configured_with_is_used(quilt3: Path) -> None:
    (quilt3 / "config.yml").write_text("# mine\ndefault_local_registry: file:///data/quilt\nother: 1\n")
    assert quilt3_local_registry() == "file:///data/quilt"


@pytest.mark.parametrize(
    "text", ["default_local_registry: [", "default_local_registry:", "default_local_registry: 3", "\xff"]
)
def test_a_broken_quilt3_configuration_counts_as_none(quilt3: Path, text: str) -> None:
    (quilt3 / "config.yml").write_bytes(text.encode("latin-1"))
    assert quilt3_local_registry() == str(quilt3 / "packages")


def test_what_is_found_but_cannot_be_used_is_told(quilt3: Path) -> None:
    (quilt3 / "auth.json").write_text("{}")
    told = reasons(Settings(), {"AWS_PROFILE": "lab", "USER": "ada"})
    assert told["quilt3"] == "No saved quilt3 session was found."
    assert "Neither QUILT_JWT_TOKEN nor QUILT_API_KEY" in told["platform"]
    assert "lab" in told["iam"]
    with pytest.raises(AuthenticationError, match="is not an API key") as caught:
        decide(Settings(api_key="qk_ secret", catalog_url="https://catalog.example"), Asker(), {})
    assert "secret" not in str(caught.value.details) + str(caught.value)


def test_what_is_switched_off_is_not_looked_for(quilt3: Path) -> None:
    (quilt3 / "auth.json").write_text("{}")
    told = reasons(Settings(disable_quilt3_session=True), {"USER": "ada"})
    assert told["quilt3"] == "QUILT_DISABLE_QUILT3_SESSION is set."


def test_a_backend_asked_for_by_name_is_that_one_or_an_error(quilt3: Path) -> None:
    identity = decide(Settings(backend="local"), Asker(), {"USER": "ada"})
    assert (identity.kind, identity.explanation[0].chosen) == ("local", True)
    with pytest.raises(AuthenticationError, match="AWS"):
        decide(Settings(backend="iam"), Asker(), {"AWS_EC2_METADATA_DISABLED": "true"})
    with pytest.raises(AuthenticationError, match="platform"):
        decide(Settings(backend="platform"), Asker(), {})
    with pytest.raises(NotSupported, match="serves folders only"):
        decide(Settings(backend="local", default_registry="s3://bucket"), Asker(), {})


def test_required_credentials_that_are_not_there_are_an_error_that_lists_what_was_tried(quilt3: Path) -> None:
    with pytest.raises(AuthenticationError) as caught:
        decide(Settings(require_auth=True), Asker(), {})
    assert [one["kind"] for one in caught.value.details["candidates"]] == [
        "platform",
        "quilt3",
        "iam",
        "local",
    ]


def test_http_serves_one_person_only_when_told_so(quilt3: Path) -> None:
    with pytest.raises(AuthenticationError, match="names no catalog"):
        decide(Settings(), Asker("http"), {})
    assert decide(Settings(single_user=True), Asker("http"), {"USER": "ada"}).kind == "local"


def test_flags_win_over_the_environment_and_secrets_are_not_shown() -> None:
    settings = Settings.load(
        {
            "QUILT_ALLOW_WRITE": "0",
            "QUILT_API_KEY": "qk_canary",
            "QUILT_JWT_TOKEN": "canary",
            "QUILT_ROOT": "/a:/b",
            "QUILT_MCP_PORT": "",
        },
        {"allow_write": True, "roots": [], "max_response_tokens": None},
    )
    assert (settings.allow_write, settings.roots, settings.port) == (True, (Path("/a"), Path("/b")), 8000)
    assert settings.api_key == "qk_canary"
    assert "canary" not in repr(settings)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"QUILT_ALLOW_WRITE": "maybe"}, "QUILT_ALLOW_WRITE"),
        ({"QUILT_BACKEND": "gcs"}, "QUILT_BACKEND"),
        ({"QUILT_MCP_PORT": "70000"}, "--port"),
        ({"QUILT_MCP_MAX_RESPONSE_TOKENS": "10"}, "--max-response-tokens"),
        ({"QUILT_MCP_CACHE_BYTES": "many"}, "QUILT_MCP_CACHE_BYTES"),
        ({"QUILT_MCP_LOG_LEVEL": "loud"}, "log-level"),
        ({"QUILT_API_KEY": "qk_x", "QUILT_API_KEY_FILE": "/key"}, "are both set"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(environ: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said) as caught:
        Settings.load(environ)
    assert caught.value.next_step


def test_every_option_is_a_setting_and_every_setting_an_option() -> None:
    assert [option.name for option in OPTIONS] == list(Settings.__slots__)
    assert all(option.meaning.endswith(".") and (option.flag or option.variable) for option in OPTIONS)


def test_the_root_of_the_file_system_is_no_default_root(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Desktop clients start servers there."""
    monkeypatch.chdir("/")
    assert Settings().local_roots() == ()
    monkeypatch.chdir(tmp_path)
    assert Settings().local_roots() == (tmp_path,)


@pytest.mark.parametrize(
    ("environ", "flags", "said"),
    [
        ({"QUILT_ALLOWED_BUCKETS": ","}, {}, "QUILT_ALLOWED_BUCKETS"),
        ({"QUILT_ALLOWED_BUCKETS": " "}, {}, "QUILT_ALLOWED_BUCKETS"),
        ({"QUILT_ALLOWED_BUCKETS": " , ,"}, {}, "QUILT_ALLOWED_BUCKETS"),
        ({"QUILT_ROOT": ":"}, {}, "QUILT_ROOT"),
        ({"QUILT_ROOT": " : "}, {}, "QUILT_ROOT"),
        ({}, {"roots": [""]}, "--root"),
        ({}, {"roots": [" ", ""]}, "--root"),
        ({"QUILT_DEFAULT_REGISTRY": " "}, {}, "QUILT_DEFAULT_REGISTRY"),
        ({}, {"cache_dir": "  "}, "--cache-dir"),
        ({"QUILT_API_KEY": "\t"}, {}, "QUILT_API_KEY"),
    ],
)
def test_case_X4_a_setting_that_names_nothing_is_an_error_at_start(
    environ: dict[str, str], flags: dict[str, object], said: str
) -> None:
    with pytest.raises(InvalidArgument, match="names nothing") as caught:
        Settings.load(environ, flags)
    assert said in caught.value.message


def test_an_empty_variable_or_flag_is_not_given_and_a_list_may_have_gaps() -> None:
    assert (
        Settings.load({"QUILT_ALLOWED_BUCKETS": "", "QUILT_ROOT": ""}, {"default_registry": ""}) == Settings()
    )
    settings = Settings.load({"QUILT_ALLOWED_BUCKETS": "a,, b", "QUILT_ROOT": "/a::/b"})
    assert (settings.allowed_buckets, settings.roots) == (("a", "b"), (Path("/a"), Path("/b")))


@pytest.mark.parametrize("text", ["${workspaceFolder}", "$HOME/data", "%USERPROFILE%/x", "{{folder}}"])
def test_case_E10_a_variable_that_the_client_left_as_it_was_is_told(text: str, tmp_path: Path) -> None:
    for flags in ({"roots": [text]}, {"cache_dir": text}, {"default_registry": text}):
        (notice,) = Settings.load({}, flags).notices()
        assert notice.startswith("unexpanded: --") and text in notice
    (tmp_path / "$odd").mkdir()
    assert Settings(roots=(tmp_path / "$odd", tmp_path)).notices() == ()
    (notice,) = Settings(roots=(tmp_path / "gone", tmp_path)).notices()
    assert notice.startswith("missing_root: ") and "gone" in notice
    assert Settings(default_registry="file:///%EF%BB%BF").notices() == ()
