"""Assertions of the contracts tell their values, as those of test modules do."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.register_assert_rewrite(
    *(path.stem for path in Path(__file__).parent.glob("*_contract.py")), "ops_base"
)
