"""Whose credentials read: those that the one decision finds, here a stack's user's, whom the stack gives none for AWS."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from lab import Lab

from parts.stack import Stack
from parts.stack.faults import no_credentials

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.xdist_group("python_files"),
]  # so that one worker alone publishes the packages


def test_files_come_through_the_stack_and_by_no_other_identity(
    bucket_lab: Lab, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.add_bucket(bucket_lab.root)
    stack.add_user("ada", roles=("reader",))
    stack.fault(no_credentials())
    monkeypatch.setenv("QUILT_CATALOG_URL", stack.url)
    monkeypatch.setenv("QUILT_API_KEY", stack.api_key("ada"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", stack.s3_url)
    options = {"cache_dir": str(tmp_path)}
    table = pd.read_csv(bucket_lab.url("data/growth.csv"), storage_options=options)
    assert table["height"].tolist() == [84.2, 91.0]
    fs, whole = bucket_lab.kind(**options), (bucket_lab.source / "lines.txt").read_bytes()
    assert fs.cat_file(bucket_lab.plain("lines.txt"), 1000, 2000) == whole[1000:2000]
    assert fs.glob(bucket_lab.plain("data/*.csv")) == [bucket_lab.plain("data/growth.csv")]
    assert fs.cat_file(bucket_lab.plain("lines.txt")) == whole
    assert stack.s3_requests() == []
