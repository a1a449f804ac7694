"""S3Clients: what the environment may say about clients whose keys are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from quilt_mcp.storage.s3.clients import AwsKeys, S3Clients


@pytest.mark.parametrize("profile", ["gone", "lab"])
def test_a_profile_of_the_environment_gives_settings_and_never_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    (tmp_path / "config").write_text(
        "[profile lab]\naws_access_key_id = THEIRS\naws_secret_access_key = theirs\nregion = eu-west-1\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_PROFILE", profile)
    client = S3Clients(lambda: AwsKeys("OURS", "ours", "token")).boto()
    signed = client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"})
    assert "OURS" in signed and "THEIRS" not in signed
    unsigned = S3Clients(None).boto().generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"})
    assert "Signature" not in unsigned
