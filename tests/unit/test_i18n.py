"""Texts, numbers, dates and money as people of each language write them."""

import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from app.i18n import LANGUAGES, Money, major_units, translator

ROOT = Path(__file__).parents[2]


def test_every_text_is_translated_into_every_language():
    done = subprocess.run(
        [sys.executable, "scripts/messages.py", "check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (0, "Translations are complete.\n") == (done.returncode, done.stdout)


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "22 November 2026"),
        ("fi", "22. marraskuuta 2026"),
        ("ru", "22 ноября 2026\u202fг."),
        ("fa", "۱ آذر ۱۴۰۵"),
    ],
)
def test_dates_are_written_as_people_read_them(language: str, expected: str):
    assert expected == translator(language).date(date(2026, 11, 22))


@pytest.mark.parametrize(
    ("language", "expected"),
    [("en", "€12.50"), ("fi", "12,50\u00a0€"), ("ru", "12,50\u00a0€"), ("fa", "\u200e€\u00a0۱۲٫۵۰")],
)
def test_money_is_written_as_people_read_it(language: str, expected: str):
    assert expected == translator(language).money(1250, "EUR")


def test_persian_numbers_have_persian_digits():
    assert "۱۲٬۳۴۵" == translator("fa").number(12345)


def test_a_moment_is_shown_in_the_programmes_zone():
    moment = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)
    assert "23 November 2026 00:30" == translator("en").moment(moment, "Europe/Helsinki")


@pytest.mark.parametrize(
    ("minor", "currency", "major"), [(1250, "EUR", "12.50"), (500, "JPY", "500"), (1, "KWD", "0.001")]
)
def test_minor_units_follow_the_currency(minor: int, currency: str, major: str):
    assert Decimal(major) == major_units(minor, currency)


def test_values_in_a_sentence_are_written_in_its_language():
    text = translator("fa").gettext("%(a)s %(b)s %(c)s", a=7, b=Money(100, "EUR"), c="x7")
    assert "۷ \u200e€\u00a0۱٫۰۰ x7" == text


@pytest.mark.parametrize(("tag", "language"), [("fi-FI", "fi"), ("fa_IR", "fa"), ("de", "en"), ("", "en")])
def test_a_tag_finds_its_language_or_english(tag: str, language: str):
    assert language == translator(tag).language


def test_every_language_has_a_direction():
    assert {"en": "ltr", "fi": "ltr", "ru": "ltr", "fa": "rtl"} == {tag: translator(tag).direction for tag in LANGUAGES}


def test_days_in_forms_are_in_the_calendar_that_people_type():
    assert "۱۴۰۵-۰۹-۰۱" == translator("fa").typed_day("2026-11-22")
    assert "2026-11-22" == translator("fi").typed_day("2026-11-22")
    assert "tomorrow" == translator("fa").typed_day("tomorrow")
