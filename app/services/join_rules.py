"""What a newcomer is asked beside the phone number, and whether what they answered can be."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.joining import Asked, JoinQuestion, JoinRules, QuestionKind
from app.db.programs import Program
from app.i18n import N_, Translator
from app.services.context import Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import calendar_day, plain_line
from sms.digits import ascii_digits

DETAILS = ("name", "birth_date", "email", "city")  # in the form's order
GONE = "gone"  # the key of a choice that is offered no more
LONGEST_ANSWER = 300  # the column's length
_FIRST_DAY, _LAST_DAY = date(1900, 1, 1), date(2100, 12, 31)
_FIELD = "answers."
_FILL_IN = N_("Please fill this in.")


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the owner's own. `main`: the programme's language, for whoever's own has no words."""

    id: UUID
    kind: QuestionKind
    texts: Mapping[str, str]
    choices: tuple[Mapping[str, str], ...]
    required: bool
    active: bool
    main: str

    @property
    def field(self) -> str:
        """Its name in forms, and its path in the API's body."""
        return field_of(self.id)

    def text(self, language: str) -> str:
        """The question in this language, else in the programme's, else in whichever there is."""
        return self._words(self.texts, language)

    def offered(self, language: str) -> list[tuple[str, str]]:
        """What can be chosen: the number that is kept, and the words."""
        return [(str(number), words) for number, words in self.every(language) if GONE not in self.choices[number]]

    def every(self, language: str) -> list[tuple[int, str]]:
        """All choices with their numbers, also those that are gone."""
        return [(number, self._words(choice, language)) for number, choice in enumerate(self.choices)]

    def shown(self, answer: str, text: Translator) -> str:
        """An answer in words; '' for a choice that never was."""
        match self.kind:
            case QuestionKind.CHOICE:
                return dict(self.every(text.language)).get(int(answer), "") if answer.isdecimal() else ""
            case QuestionKind.DATE:
                return text.date(date.fromisoformat(answer))
            case QuestionKind.TEXT:
                return answer

    def _words(self, texts: Mapping[str, str], language: str) -> str:
        spoken = [texts[key] for key in (language, self.main, *sorted(texts)) if key != GONE and texts.get(key)]
        return spoken[0] if spoken else ""


@dataclass(frozen=True, slots=True)
class JoinForm:
    """What a programme asks. `questions` are all there ever were, in their order; `asked` those that are asked now."""

    details: Mapping[str, Asked]
    till_skips: bool = True
    channels: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()

    @property
    def asked(self) -> tuple[Question, ...]:
        return tuple(question for question in self.questions if question.active)

    def asks(self, detail: str) -> bool:
        return self.details[detail] is not Asked.OFF

    def needs(self, detail: str) -> bool:
        return self.details[detail] is Asked.REQUIRED

    def missing(self, told: Mapping[str, object], answers: Mapping[str, str]) -> dict[str, Refused]:
        """What must be told and is not: field → to fill it in. `answers`: a question's id → the answer."""
        fields = [detail for detail in DETAILS if self.needs(detail) and not _told(told.get(detail))]
        fields += [one.field for one in self.asked if one.required and not _told(answers.get(str(one.id)))]
        return {field: Refused("required", _FILL_IN, field=field) for field in fields}


def field_of(question_id: object) -> str:
    """A question's name in forms, and its path in the API's body."""
    return f"{_FIELD}{question_id}"


def typed_answers(asked: JoinForm, form: Mapping[str, str]) -> dict[str, str]:
    """What was typed in a form that asks the questions of now: id → answer. What it does not have is left out."""
    return {str(one.id): form[one.field] for one in asked.asked if one.field in form}


def of(session: Session, program: Program) -> JoinForm:
    """The programme's form, in the caller's transaction."""
    row = session.get(JoinRules, program.id)
    details = {name: getattr(row, name) if row else Asked.OPTIONAL for name in DETAILS}
    rows = select(JoinQuestion).where(JoinQuestion.program_id == program.id).order_by(JoinQuestion.position)
    questions = tuple(
        Question(one.id, one.kind, one.texts, tuple(one.choices), one.required, one.active, program.language)
        for one in session.scalars(rows)
    )
    if row is None:
        return JoinForm(details, questions=questions)
    return JoinForm(details, row.till_skips, tuple(row.channels), questions)


def get(ctx: Context, program_id: UUID) -> JoinForm:
    with ctx.sessions() as session:
        return of(session, session.get_one(Program, program_id))


def read_answers(
    asked: JoinForm, typed: Mapping[str, str], *, needed: bool, held: Mapping[str, str] | None = None
) -> dict[UUID, str]:
    """The answers as they are kept: a text, a day (ISO 8601), or the number of a choice. Empty ones are left out.

    `typed`: a question's id → the answer; to a question that is asked no more it is not looked at. With `needed`
    every question that is a must wants an answer. An answer that is `held` already may stay, also when its choice is
    gone. Raises InvalidForm, with fields as `field_of` names them.
    """
    errors = {one.field: one for one in _unknown(asked, typed)}
    answers: dict[UUID, str] = {}
    for question in asked.asked:
        given = typed.get(str(question.id), "")
        try:
            answer = given if given and given == (held or {}).get(str(question.id)) else _read(question, given)
        except Refused as refusal:
            errors[question.field] = refusal
            continue
        if answer:
            answers[question.id] = answer
        elif needed and question.required:
            errors[question.field] = Refused("required", _FILL_IN, field=question.field)
    if errors:
        raise InvalidForm(errors)
    return answers


def _unknown(asked: JoinForm, typed: Mapping[str, str]) -> list[Refused]:
    known = {str(question.id) for question in asked.questions}
    message = N_("There is no such question. See joining of GET /api/v1/program.")
    return [Refused("unknown-question", message, field=field_of(name)[:80]) for name in typed if name not in known]


def _read(question: Question, given: str) -> str:
    """One answer as it is kept; '' for none. Raises Refused."""
    line = plain_line(given, len(given))
    if not line:
        return ""
    match question.kind:
        case QuestionKind.TEXT:
            return _short(question, line)
        case QuestionKind.CHOICE:
            return _chosen(question, line)
        case QuestionKind.DATE:
            return _day(question, line)


def _short(question: Question, line: str) -> str:
    if len(line) > LONGEST_ANSWER:
        message = N_("This has %(count)s characters, and %(most)s fit. Please shorten it.")
        raise Refused("too-long", message, {"count": len(line), "most": LONGEST_ANSWER}, field=question.field)
    return line


def _chosen(question: Question, line: str) -> str:
    if line not in {number for number, _ in question.offered(question.main)}:
        message = N_("This can no longer be chosen. Please choose one from the list.")
        raise Refused("unknown-choice", message, field=question.field)
    return line


def _day(question: Question, line: str) -> str:
    try:
        day = calendar_day(ascii_digits(line))
    except ValueError:
        message = N_("Enter the day as year-month-day, for example 2027-01-31.")
        raise Refused("invalid-date", message, field=question.field) from None
    if not _FIRST_DAY <= day <= _LAST_DAY:
        message = N_("This day cannot be right. Please check the year.")
        raise Refused("invalid-date", message, field=question.field)
    return day.isoformat()


def _told(value: object) -> bool:
    return bool(value.strip() if isinstance(value, str) else value)
