"""What is shown: nothing acts on a terminal, hides from a reader or turns the text, and writing stays readable (C26)."""

from __future__ import annotations

import sys
import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quilt_mcp.domain.printable import address, printable

IGNORABLE = (
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
"""Default_Ignorable_Code_Point of Unicode 17."""
HIDDEN = sorted(
    {number for first, last in IGNORABLE for number in range(first, last + 1)}
    | {
        number
        for number in range(sys.maxunicode + 1)
        if unicodedata.category(chr(number)) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    }
    - {0x09, 0x0A}
    | {0x2800, 0x1D159}
)


@pytest.mark.parametrize(
    "around", ["a{}b", "{}", "é{}ü", "❤{}x", "न{}x", "م{}x", "1{}", "#{}", "{0}{0}", "א{}ב", "漢{}"]
)
def test_every_hidden_character_is_escaped_case_X1_case_X2(around: str) -> None:
    kept = [number for number in HIDDEN if chr(number) in printable(around.format(chr(number)))]
    assert kept == ([0xFE0F] if around.startswith("❤") else [])


def test_a_run_of_selectors_or_joiners_is_not_hidden_behind_a_picture_case_X2() -> None:
    smuggled = "😀" + "".join(chr(0xFE00 + bits) for bits in range(16)) + "\U000e0101\u200d\u200d"
    assert printable(smuggled).count("\\") >= 18
    assert printable("❤\ufe0f\ufe0f") == "❤\ufe0f\\ufe0f"
    assert printable("न\u200d\u200dन") == "न\\u200d\\u200dन"


@pytest.mark.parametrize(
    "text",
    [
        "👩\u200d🔬 ❤\ufe0f 1\ufe0f\u20e3 👨🏽\u200d👩🏾\u200d👧 🏳\ufe0f\u200d🌈 ☺ ™ 🇮🇳",
        "क\u094d\u200dष अक\u094d\u200cतूबर",  # Hindi: a half form, and a virama shown
        "می\u200cخواهم کتاب\u200cها",  # Persian
        "العربية مُشَكَّلة", "עִבְרִית", "日本語 한국어 ไทย မြန်မာ", "e\u0301 naïve Ωμέγα",
        "tab\tline\nline\r\n", "\\u202e written out", "",
    ],
)  # fmt: skip
def test_writing_and_emoji_stay_as_they_are(text: str) -> None:
    assert printable(text) == text


def test_a_lone_carriage_return_is_escaped_as_it_overwrites_a_line() -> None:
    assert printable("good\rbad") == "good\\rbad"


@given(st.text(st.one_of(st.characters(), st.sampled_from([chr(number) for number in HIDDEN]))))
def test_what_is_shown_is_shown_again_as_it_is(text: str) -> None:
    assert printable(printable(text)) == printable(text)


@given(st.text(st.sampled_from([chr(one) for one in HIDDEN if not 0xD800 <= one <= 0xDFFF])))
def test_an_address_still_names_the_same(path: str) -> None:
    shown = address(path)
    assert unquote(shown) == path
    assert printable(shown) == shown
