"""How a refusal of administration is looked at."""

from __future__ import annotations

from typing import Any


def refused(answer: dict[str, Any], code: str) -> dict[str, Any]:
    assert answer.get("error", {}).get("code") == code, answer
    return answer["error"]
