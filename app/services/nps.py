"""Asking members how likely they are to recommend the shop, and taking their answers.

A question is a row with a token; it is asked by the card's back, by SMS, by a campaign's link or on the own page, and
answered on a page of ours. Nobody is asked twice within the programme's period, whatever asks.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from app import clock
from app.db.lookup import Lookup
from app.db.nps import NpsAsk
from app.db.people import Member
from app.db.programs import Program
from app.db.purchases import Purchase
from app.db.visits import Visit, VisitRules
from app.i18n import N_
from app.loyalty.nps import ANSWERABLE, HIGHEST, LOWEST, is_due, is_open
from app.services import nps_rules, tasks
from app.services.context import Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from app.services.ledger_book import Occasion
from app.services.programs import ProgramView, program_view

TASK = "nps"
# The till is no place for questions: they come when the visit is over.
LATER = timedelta(hours=1)
LONGEST_COMMENT = 2000
VISIT, CAMPAIGN, PAGE = "visit", "campaign", "page"
_NEWEST = Lookup(
    select(NpsAsk.member_id, NpsAsk.token, NpsAsk.asked_at, NpsAsk.answered_at)
    .ext(distinct_on(NpsAsk.member_id))
    .where(NpsAsk.member_id == any_(bindparam("member_ids", type_=ARRAY(Uuid))))
    .order_by(NpsAsk.member_id, NpsAsk.asked_at.desc(), NpsAsk.id.desc())
)
_TOKEN = re.compile(r"[0-9A-Za-z_-]{12}")


def visited(session: Session, program: Program, member: Member, act: Occasion, came: datetime | None = None) -> None:
    """The member, whose row is locked, bought something or came: ask them, if it is their turn.

    It is when they have come as often as the rules say since they were last asked, and the period is over. `came`: when
    they were there, if that is told of later; the period goes by when they are asked.
    """
    rules = nps_rules.of(session, program)
    if not rules.active:
        return
    last = newest(session, member.id)
    if not is_due(last.asked_at if last else None, rules.period_days, act.at):
        return
    if _times(session, member, last.asked_at if last else None, act.at, rules.after_visits) < rules.after_visits:
        return
    ask = _ask(session, member, VISIT, act.at, act.location_id)
    tasks.start(session, program.id, TASK, ask.id, (came or act.at) + LATER)


def _times(session: Session, member: Member, since: datetime | None, at: datetime, most: int) -> int:
    """How often the member came since then, counted up to `most`, with this time: counted visits where the programme
    counts any, else purchases."""
    counting = session.scalars(
        select(VisitRules.active).where(VisitRules.program_id == member.program_id)
    ).one_or_none()
    if counting:
        before = select(Visit.id).where(Visit.member_id == member.id, Visit.undone_at.is_(None))
        before = before.where(Visit.at > since) if since else before  # a door that was offline tells of it later
        this_one = 0
    else:
        before = select(Purchase.id).where(
            Purchase.member_id == member.id, Purchase.undone_at.is_(None), Purchase.recorded_at < at
        )
        before = before.where(Purchase.recorded_at > since) if since else before
        this_one = 1
    some = before.limit(most).subquery()
    return (session.scalar(select(func.count()).select_from(some)) or 0) + this_one


def newest(session: Session, member_id: UUID) -> NpsAsk | None:
    """The question that the member was asked last."""
    query = select(NpsAsk).where(NpsAsk.member_id == member_id).order_by(NpsAsk.asked_at.desc(), NpsAsk.id.desc())
    return session.scalars(query.limit(1)).one_or_none()


def newest_of(ctx: Context, member_ids: Sequence[UUID]) -> dict[UUID, tuple[str, datetime, datetime | None]]:
    """Of each member who was ever asked the newest question: its token, when it was asked, and when answered."""
    return {row[0]: row[1:] for row in _NEWEST.all(ctx.engine, member_ids=list(member_ids))}


def _ask(session: Session, member: Member, via: str, at: datetime, location_id: UUID | None) -> NpsAsk:
    ask = NpsAsk(
        program_id=member.program_id,
        member_id=member.id,
        token=secrets.token_urlsafe(9),
        via=via,
        location_id=location_id,
        tier_id=member.tier_id,
        asked_at=at,
        on_card_until=at + ANSWERABLE,
    )
    session.add(ask)
    session.flush()
    return ask


def token_for(ctx: Context, member_id: UUID, via: str) -> str:
    """The token of the member's question: the one that stands open, or else of a new one when the period is over;
    else of the last one, whose page says that it was answered."""
    now = clock.now()
    with ctx.sessions.begin() as session:
        query = select(Member).where(Member.id == member_id).with_for_update(of=Member, key_share=True)
        member = session.scalars(query).unique().one()
        program = session.get_one(Program, member.program_id)
        last = newest(session, member_id)
        if last is None or not (
            is_open(last.asked_at, last.answered_at, now)
            or not is_due(last.asked_at, nps_rules.of(session, program).period_days, now)
        ):
            last = _ask(session, member, via, now, member.last_location_id)
        return last.token


def may_ask(ctx: Context, program: ProgramView, member_id: UUID) -> bool:
    """Whether the own page should ask: the programme asks, and there is no answer yet within the period."""
    rules, now = nps_rules.of_view(ctx, program), clock.now()
    if not rules.active:
        return False
    with ctx.sessions() as session:
        last = newest(session, member_id)
    if last is None or is_due(last.asked_at, rules.period_days, now):
        return True
    return last.answered_at is None and is_open(last.asked_at, None, now)


@dataclass(frozen=True, slots=True)
class Question:
    """A question as its page shows it. `survey_url`: the owner's own survey, to which the page leads on instead."""

    program: ProgramView
    language: str
    words: str
    survey_url: str
    score: int | None
    comment: str
    may_answer: bool

    @property
    def answered(self) -> bool:
        return self.score is not None


def opened(ctx: Context, token: str) -> Question:
    """The question behind a link. Raises Refused (404) for one that leads nowhere."""
    with ctx.sessions() as session:
        ask = _of_token(session, token)
        program = program_view(session.get_one(Program, ask.program_id))
        language = session.scalars(select(Member.language).where(Member.id == ask.member_id)).one()
    rules = nps_rules.of_view(ctx, program)
    return Question(
        program,
        language,
        rules.question(language, program.organization_name),
        rules.survey_url,
        ask.score,
        ask.comment,
        is_open(ask.asked_at, ask.answered_at, clock.now()),
    )


def _of_token(session: Session, token: str, *, lock: bool = False) -> NpsAsk:
    query = select(NpsAsk).where(NpsAsk.token == token)
    ask = session.scalars(query.with_for_update() if lock else query).one_or_none() if _TOKEN.fullmatch(token) else None
    if ask is None:
        raise Refused(
            "question-not-found",
            N_("This link leads nowhere. Look whether all of it was copied from the message, or ask the shop."),
            status=404,
        )
    return ask


def answer(ctx: Context, token: str, form: dict[str, str]) -> None:
    """Keep the answer: `score` 0 to 10 and `comment`. It may be changed for a day.

    A changed answer that is a detractor's no more needs nobody's attention. Raises InvalidForm, Refused (404, and 409
    question-over when it is too late).
    """
    reader, now = FormReader(form), clock.now()
    if not form.get("score", "").strip():
        reader.wrong("score", "required", N_("Please choose a number from 0 to 10."))
    score = reader.number("score", LOWEST, HIGHEST) if not reader.errors else None
    comment = reader.paragraphs("comment", LONGEST_COMMENT)
    if reader.errors:
        raise InvalidForm(reader.errors)
    with ctx.sessions.begin() as session:
        ask = _of_token(session, token, lock=True)
        if not is_open(ask.asked_at, ask.answered_at, now):
            raise Refused("question-over", N_("This question is over. Thank you all the same!"), status=409)
        if (score, comment) != (ask.score, ask.comment):
            ask.handled_at = ask.handled_by = None
        ask.score, ask.comment = score, comment
        if ask.answered_at is None:
            ask.answered_at = ask.on_card_until = now
