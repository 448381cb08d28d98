"""Answers to an owner's questions: whatever is typed is either kept as it can be kept, or refused with a reason."""

from datetime import date
from uuid import UUID, uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.db.joining import Asked, QuestionKind
from app.i18n import LANGUAGES, translator
from app.services.errors import InvalidForm, Refused
from app.services.join_rules import DETAILS, GONE, LONGEST_ANSWER, JoinForm, Question, read_answers

_words = st.text(min_size=1, max_size=20).filter(str.strip)
_texts = st.fixed_dictionaries({"en": _words}, optional=dict.fromkeys(("fi", "ru", "fa"), _words))
_choices = st.tuples(_texts, st.booleans()).map(lambda made: made[0] | ({GONE: "yes"} if made[1] else {}))


@st.composite
def some_form(draw: st.DrawFn) -> JoinForm:
    questions = tuple(
        Question(
            uuid4(),
            kind := draw(st.sampled_from(QuestionKind)),
            draw(_texts),
            tuple(draw(st.lists(_choices, max_size=5))) if kind is QuestionKind.CHOICE else (),
            draw(st.booleans()),
            draw(st.booleans()),
            "en",
        )
        for _ in range(draw(st.integers(0, 4)))
    )
    details = {name: draw(st.sampled_from(Asked)) for name in DETAILS}
    return JoinForm(details, draw(st.booleans()), (), questions)


_typed = st.one_of(
    st.text(max_size=2 * LONGEST_ANSWER),
    st.integers(-1, 6).map(str),
    st.dates().map(date.isoformat),
    st.sampled_from(["", " ", "\0", "۱۴۰۵-۰۹-۰۱", "2027-02-30", "1899-12-31", "²", "a" * 301]),
)


def read(asked: JoinForm, typed: dict[str, str], *, needed: bool) -> tuple[dict[UUID, str], dict[str, Refused]]:
    try:
        return read_answers(asked, typed, needed=needed), {}
    except InvalidForm as invalid:
        return {}, invalid.errors


@given(some_form(), st.data(), st.booleans())
def test_what_is_kept_can_be_shown_and_read_again_and_the_rest_is_refused(
    asked: JoinForm, data: st.DataObject, needed: bool
) -> None:
    typed = {str(one.id): data.draw(_typed) for one in asked.questions if data.draw(st.booleans())}
    answers, refused = read(asked, typed, needed=needed)
    assert set(refused) <= {one.field for one in asked.asked}
    assert all(refusal.text(translator(language)) for refusal in refused.values() for language in LANGUAGES)
    if refused:
        return
    by_id = {one.id: one for one in asked.asked}
    assert set(answers) <= set(by_id)
    for question_id, answer in answers.items():
        assert 0 < len(answer) <= LONGEST_ANSWER
        assert "\0" not in answer
        assert by_id[question_id].shown(answer, translator("fa"))
    kept = {str(question_id): answer for question_id, answer in answers.items()}
    assert answers == read_answers(asked, kept, needed=needed)
    if needed:
        assert not [field for field in asked.missing({}, kept) if field not in DETAILS]


@given(some_form())
def test_with_nothing_typed_exactly_the_musts_are_missing(asked: JoinForm) -> None:
    musts = {one.field for one in asked.asked if one.required}
    missing = {field for field in asked.missing(dict.fromkeys(DETAILS, " "), {}) if field not in DETAILS}
    assert musts == missing
    assert {name for name in DETAILS if asked.details[name] is Asked.REQUIRED} == set(asked.missing({}, {})) - musts
    assert {} == read_answers(asked, {}, needed=False)


def choice(*choices: dict[str, str]) -> tuple[JoinForm, UUID]:
    question = Question(uuid4(), QuestionKind.CHOICE, {"en": "Drink?"}, choices, True, True, "en")
    return JoinForm(dict.fromkeys(DETAILS, Asked.OFF), questions=(question,)), question.id


@given(_texts, st.sampled_from(list(LANGUAGES)))
@example({"en": "Tea", "fi": "Tee"}, "fa")
def test_words_are_in_the_readers_language_else_in_the_programmes(texts: dict[str, str], language: str) -> None:
    asked, _ = choice(texts)
    assert [("0", texts.get(language, texts["en"]))] == asked.asked[0].offered(language)


def test_a_choice_that_is_gone_cannot_be_made_but_can_be_kept() -> None:
    asked, question = choice({"en": "Coffee"}, {"en": "Milk", GONE: "yes"}, {"en": "Tea"})
    assert {question: "2"} == read_answers(asked, {str(question): "2"}, needed=True)
    with pytest.raises(InvalidForm, match="can no longer be chosen"):
        read_answers(asked, {str(question): "1"}, needed=True)
    held = {str(question): "1"}
    assert {question: "1"} == read_answers(asked, held, needed=True, held=held)
    assert "Milk" == asked.asked[0].shown("1", translator("en"))


def test_an_answer_to_a_question_that_never_was_is_refused() -> None:
    with pytest.raises(InvalidForm, match="no such question"):
        read_answers(JoinForm(dict.fromkeys(DETAILS, Asked.OFF)), {str(uuid4()): "x"}, needed=False)
