"""pass.strings hold any text, in any script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes.apple.errors import PassError
from passes.apple.strings import localized_files, pass_strings
from tests.pkpass_rules import strings_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


def test_quotes_backslashes_and_line_ends_are_escaped() -> None:
    assert pass_strings({'Sano "hei"': "C:\\x\nrivi"}) == b'"Sano \\"hei\\"" = "C:\\\\x\\nrivi";\n'


@given(st.dictionaries(TEXTS, TEXTS))
def test_any_text_comes_back_as_it_was(translations: dict[str, str]) -> None:
    assert strings_of(pass_strings(translations)) == translations


def test_the_cards_own_language_gets_a_file_with_the_texts_as_they_are() -> None:
    files = localized_files("fi", {"en": {"Leimoja": "Stamps"}, "fa": {"Ehdot": "شرایط"}})
    assert {name: strings_of(file) for name, file in files.items()} == {
        "en.lproj/pass.strings": {"Leimoja": "Stamps"},
        "fa.lproj/pass.strings": {"Ehdot": "شرایط"},
        "fi.lproj/pass.strings": {"Leimoja": "Leimoja", "Ehdot": "Ehdot"},
    }


def test_a_card_without_translations_has_no_strings() -> None:
    assert localized_files("fi", {}) == {}


@pytest.mark.parametrize("tag", ["../en", "en/../..", "", "english language", "e"])
def test_only_language_tags_become_folders(tag: str) -> None:
    with pytest.raises(PassError, match="not a language tag"):
        localized_files("fi", {tag: {"a": "b"}})


def test_half_a_character_is_refused() -> None:
    with pytest.raises(PassError, match="half a character"):
        pass_strings({"a": "\ud83d"})
