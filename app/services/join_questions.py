"""The form by which people join, in the office: which details are asked, and the questions of the owner's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app.db.joining import Asked, JoinAnswer, JoinQuestion, JoinRules, QuestionKind
from app.db.programs import Program
from app.i18n import LANGUAGES, N_
from app.services import join_rules
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from app.services.join_rules import DETAILS, GONE, JoinForm, Question

MOST_ASKED = 3
MOST_CHOICES = 8  # that are offered at a time
LONGEST_QUESTION, LONGEST_CHOICE = 200, 80
_MOST_KEPT = 50  # questions that were ever asked, and choices of one that were ever offered


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """A question in the office's list, and how many members have answered it."""

    question: Question
    answers: int


def rows(ctx: Context, actor: Actor) -> list[QuestionRow]:
    """The questions that are asked in their order, then those that are asked no more."""
    with ctx.sessions() as session:
        asked = join_rules.of(session, session.get_one(Program, actor.program_id))
        ids = [question.id for question in asked.questions]
        answers = select(JoinAnswer.question_id, func.count()).where(JoinAnswer.question_id.in_(ids))
        counts = {row[0]: row[1] for row in session.execute(answers.group_by(JoinAnswer.question_id))}
        ordered = sorted(asked.questions, key=lambda question: not question.active)
        return [QuestionRow(question, counts.get(question.id, 0)) for question in ordered]


def rules_as_typed(asked: JoinForm) -> dict[str, str]:
    """The rules as the fields of their form."""
    typed = {f"asked_{name}": asked.details[name].value for name in DETAILS}
    return typed | {"till_skips": "on" if asked.till_skips else ""}


def drafted(asked: JoinForm, form: Mapping[str, str]) -> JoinForm:
    """The form as it would be with what is typed, for a picture of it. Raises InvalidForm."""
    reader = FormReader(form)
    details = {name: Asked(reader.choice(f"asked_{name}", set(Asked), otherwise=Asked.OPTIONAL)) for name in DETAILS}
    if reader.errors:
        raise InvalidForm(reader.errors)
    return JoinForm(details, form.get("till_skips") == "on", asked.channels, asked.questions)


def save_rules(ctx: Context, actor: Actor, form: Mapping[str, str]) -> None:
    """Set which details are asked (asked_<detail>: off, optional, required) and `till_skips`. Raises InvalidForm."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        wanted = drafted(join_rules.of(session, program), form)
        values = {**wanted.details, "till_skips": wanted.till_skips}
        row = insert(JoinRules).values(program_id=program.id, channels=[], **values)
        session.execute(row.on_conflict_do_update(index_elements=["program_id"], set_=values))
        record(session, actor, "join-form.changed", program.id)


def get(ctx: Context, actor: Actor, question_id: UUID) -> Question:
    """One of the programme's questions. Raises Refused: question-not-found."""
    with ctx.sessions() as session:
        asked = join_rules.of(session, session.get_one(Program, actor.program_id))
    found = next((question for question in asked.questions if question.id == question_id), None)
    if found is None:
        raise _not_found()
    return found


def places(choices: Sequence[Mapping[str, str]]) -> list[int]:
    """The numbers of the choices in the form: those that are offered, and then free ones."""
    offered = [number for number, choice in enumerate(choices) if GONE not in choice]
    return offered + list(range(len(choices), len(choices) + MOST_CHOICES - len(offered)))


def as_typed(question: Question) -> dict[str, str]:
    """A question as the fields of its form."""
    typed = {f"text_{language}": words for language, words in question.texts.items()}
    for number in places(question.choices):
        if number < len(question.choices):
            typed |= {f"choice_{number}_{language}": words for language, words in question.choices[number].items()}
    return typed | {"required": "on" if question.required else ""}


def add(ctx: Context, actor: Actor, kind: QuestionKind, form: Mapping[str, str]) -> UUID:
    """Ask one question more. Fields: text_<language>, choice_<number>_<language>, required. Raises InvalidForm."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        others = _of_program(session, program)
        values = _read(program, kind, [], form)
        _make_room(others)
        row = JoinQuestion(id=uuid7(), program_id=program.id, position=0, kind=kind, active=True, **values)
        session.add(row)
        _put_in_order([*others, row])
        record(session, actor, "join-question.added", row.id)
        return row.id


def change(ctx: Context, actor: Actor, question_id: UUID, form: Mapping[str, str]) -> None:
    """Change a question's words, its choices and whether it is a must; its kind stays, for the answers' sake.

    A choice whose words are emptied is offered no more. Raises InvalidForm, Refused: question-not-found.
    """
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        row = _own(session, actor, question_id)
        for name, value in _read(program, row.kind, row.choices, form).items():
            setattr(row, name, value)
        record(session, actor, "join-question.changed", row.id)


def move(ctx: Context, actor: Actor, question_id: UUID, steps: int) -> None:
    """Ask a question earlier (-1) or later (1). At the end of the list nothing happens."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        row = _own(session, actor, question_id)
        ordered = [one for one in _of_program(session, program) if one.active]
        if row.active:
            place = ordered.index(row)
            ordered.insert(max(0, place + steps), ordered.pop(place))
            _put_in_order(ordered)
            record(session, actor, "join-question.moved", row.id)


def set_active(ctx: Context, actor: Actor, question_id: UUID, active: bool) -> None:
    """Ask a question no more, or again. Its answers are kept. Raises Refused: too-many-questions."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        row = _own(session, actor, question_id)
        if row.active == active:
            return
        others = [one for one in _of_program(session, program) if one is not row]
        if active:
            _make_room(others)
        row.active = active
        _put_in_order([*others, row])
        record(session, actor, "join-question.asked" if active else "join-question.stopped", row.id)


def remove(ctx: Context, actor: Actor, question_id: UUID) -> None:
    """Remove a question that nobody has answered. Raises Refused: question-not-found, question-answered."""
    with ctx.sessions.begin() as session:
        session.get_one(Program, actor.program_id, with_for_update=True)
        row = _own(session, actor, question_id)
        if session.scalar(select(JoinAnswer.member_id).where(JoinAnswer.question_id == row.id).limit(1)):
            message = N_("Members have answered this question. Stop asking it instead: their answers are kept.")
            raise Refused("question-answered", message, status=409)
        session.delete(row)
        record(session, actor, "join-question.removed", question_id)


def _read(
    program: Program, kind: QuestionKind, before: Sequence[dict[str, str]], form: Mapping[str, str]
) -> dict[str, object]:
    reader = FormReader(form)
    values: dict[str, object] = {
        "texts": _in_languages(reader, "text_", LONGEST_QUESTION, program.language, needed=True),
        "choices": _choices(reader, before, program.language) if kind is QuestionKind.CHOICE else [],
        "required": form.get("required") == "on",
    }
    if reader.errors:
        raise InvalidForm(reader.errors)
    return values


def _in_languages(reader: FormReader, stem: str, longest: int, main: str, *, needed: bool) -> dict[str, str]:
    """What was typed in each language. In the programme's own there must be words, if there are any or `needed`."""
    found = {tag: reader.line(stem + tag, longest, optional=True) for tag in LANGUAGES}
    if (needed or any(found.values())) and not found[main]:
        reader.wrong(stem + main, "required", N_("Please fill this in."))
    return {tag: words for tag, words in found.items() if words}


def _choices(reader: FormReader, before: Sequence[dict[str, str]], main: str) -> list[dict[str, str]]:
    choices = [dict(choice) for choice in before]
    for number in places(before):
        words = _in_languages(reader, f"choice_{number}_", LONGEST_CHOICE, main, needed=False)
        if number >= len(before):
            choices += [words] if words else []
        else:
            choices[number] = words or choices[number] | {GONE: "yes"}
    first = f"choice_{places(before)[0]}_{main}"
    if sum(GONE not in choice for choice in choices) < 2 and not reader.errors:
        reader.wrong(first, "too-few-choices", N_("Give at least two to choose from."))
    if len(choices) > _MOST_KEPT:
        message = N_("This question has had too many choices. Stop asking it, and make a new one.")
        reader.wrong(first, "too-many-choices", message)
    return choices


def _make_room(others: Sequence[JoinQuestion]) -> None:
    if sum(one.active for one in others) >= MOST_ASKED:
        message = N_("%(most)s questions are asked at most. Stop asking one first.")
        raise Refused("too-many-questions", message, {"most": MOST_ASKED}, status=409)
    if len(others) >= _MOST_KEPT:
        message = N_("There are too many old questions. Remove one that nobody has answered, or ask one again.")
        raise Refused("too-many-questions", message, status=409)


def _put_in_order(ordered: Sequence[JoinQuestion]) -> None:
    for place, one in enumerate(sorted(ordered, key=lambda one: not one.active)):
        one.position = place


def _of_program(session: Session, program: Program) -> list[JoinQuestion]:
    query = select(JoinQuestion).where(JoinQuestion.program_id == program.id)
    return list(session.scalars(query.order_by(JoinQuestion.position)))


def _own(session: Session, actor: Actor, question_id: UUID) -> JoinQuestion:
    row = session.get(JoinQuestion, question_id)
    if row is None or row.program_id != actor.program_id:
        raise _not_found()
    return row


def _not_found() -> Refused:
    return Refused("question-not-found", N_("There is no such question."), status=404)
