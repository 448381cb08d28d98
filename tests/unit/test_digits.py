"""Digits of every script are the same digits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms.digits import ascii_digits


@pytest.mark.parametrize("typed", ["48213", "۴۸۲۱۳", "٤٨٢١٣", "４８２１３", "४८२१३", "4۸٢１3"])
def test_a_code_means_the_same_in_any_script(typed: str) -> None:
    assert ascii_digits(typed) == "48213"


@given(st.text())
def test_only_digits_change_and_they_all_become_ascii(text: str) -> None:
    read = ascii_digits(text)
    assert len(text) == len(read)
    for before, after in zip(text, read, strict=True):
        assert after in "0123456789" if before.isdecimal() else after == before
