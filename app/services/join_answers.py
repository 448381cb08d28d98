"""What members answered to the questions of a programme's own."""

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.db.joining import JoinAnswer
from app.db.programs import Program
from app.i18n import translator
from app.services import join_rules
from app.services.context import Context
from app.services.join_rules import Question
from app.services.own_data_reading import Section
from app.services.views import MemberView


def keep(session: Session, member_id: UUID, answers: Mapping[UUID, str]) -> None:
    """Keep what `read_answers` made of a member's answers, in place of earlier ones to the same questions."""
    if not answers:
        return
    rows = [{"member_id": member_id, "question_id": question, "answer": words} for question, words in answers.items()]
    added = insert(JoinAnswer).values(rows)
    key = ("member_id", "question_id")
    session.execute(added.on_conflict_do_update(index_elements=key, set_={"answer": added.excluded.answer}))


def change(session: Session, member_id: UUID, put: Container[str], answers: Mapping[UUID, str]) -> bool:
    """Make `answers` all that the member says to the questions that were `put`. Whether anything is other now."""
    held = {key: answer for key, answer in _of(session, member_id).items() if str(key) in put}
    if held == answers:
        return False
    emptied = [question for question in held if question not in answers]
    session.execute(delete(JoinAnswer).where(JoinAnswer.member_id == member_id, JoinAnswer.question_id.in_(emptied)))
    keep(session, member_id, answers)
    return True


def held(session: Session, member_id: UUID) -> dict[str, str]:
    """A question's id → the member's answer as it is kept."""
    return {str(question): answer for question, answer in _of(session, member_id).items()}


def of_member(ctx: Context, member: MemberView) -> list[tuple[Question, str]]:
    """The questions that the member answered, in their order, also those that are asked no more."""
    with ctx.sessions() as session:
        return _answered(session, member)


def _answered(session: Session, member: MemberView) -> list[tuple[Question, str]]:
    given = _of(session, member.id)
    if not given:
        return []
    asked = join_rules.of(session, session.get_one(Program, member.program_id))
    return [(question, given[question.id]) for question in asked.questions if question.id in given]


def _of(session: Session, member_id: UUID) -> dict[UUID, str]:
    rows = session.execute(select(JoinAnswer.question_id, JoinAnswer.answer).where(JoinAnswer.member_id == member_id))
    return {row.question_id: row.answer for row in rows}


def _for_download(_ctx: Context, session: Session, member: MemberView) -> Iterator[Sequence[Any]]:
    text = translator(member.language)
    for question, answer in _answered(session, member):
        yield question.text(member.language), question.shown(answer, text)


SECTION = Section("joining_answers", JoinAnswer.__tablename__, ("question", "answer"), _for_download)
