"""Opening stamps on further stamp cards: a register may have a column for each, named like the card.

As on the first card, they are stamps for joining, and full cards turn into their rewards.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app.db.ledger import LedgerEntry
from app.db.people import Member
from app.db.programs import Program
from app.db.register import RegisterImport, RegisterRow
from app.db.stamps import MemberStamps, StampCard
from app.i18n import N_
from app.loyalty.ledger import Kind, Unit
from app.loyalty.stamps import lasts_until
from app.services import stamp_earning, stamp_rules
from app.services.card_news import stamps_news
from app.services.context import Actor
from app.services.errors import Refused
from app.services.ledger_book import Occasion
from app.services.register_columns import STAMPS_ON
from app.services.stamp_rules import CardRules
from app.services.views import StampsView


@dataclass(frozen=True, slots=True)
class Opening:
    """Stamps that somebody brings along on a further card."""

    card: CardRules
    stamps: int

    def lapses(self, program: Program, now: datetime) -> datetime | None:
        return lasts_until(now, self.card.rules.valid_days, program.time_zone)


def names(session: Session, program: Program) -> dict[str, str]:
    """What a column can hold (see register_columns) → the stamp card's name, of those in use that have one."""
    first = {"stamps": program.stamp_card_name} if program.stamp_card_name else {}
    further = stamp_rules.further_cards(session, program)
    return first | {f"{STAMPS_ON}{card.id}": card.name for card in further}


def require_in_use(session: Session, program: Program, columns: Iterable[str]) -> None:
    """Raises Refused (409) when one of the columns is for a card that is not used any more."""
    if any(field.startswith(STAMPS_ON) for field in set(columns) - names(session, program).keys()):
        words = N_("A stamp card that has a column in this file is not in use any more. Check the file again.")
        raise Refused("stamp-card-gone", words, status=409)


def cards_of(session: Session, program: Program, job: RegisterImport) -> tuple[CardRules, ...]:
    """The further cards that the file has columns for; also one that was stopped while people join."""
    columns: Any = job.options["columns"]
    wanted = [UUID(field.removeprefix(STAMPS_ON)) for field in columns if field.startswith(STAMPS_ON)]
    if not wanted:
        return ()
    query = select(StampCard).where(StampCard.program_id == program.id, StampCard.id.in_(wanted))
    return tuple(stamp_rules.card_rules(program, row) for row in session.scalars(query.order_by(StampCard.position)))


def opening(row: RegisterRow, cards: Iterable[CardRules]) -> list[Opening]:
    """What this person brings along on these cards."""
    kept: Any = row.details.get("further", {})
    return [Opening(card, kept[str(card.id)]) for card in cards if kept.get(str(card.id))]


def shown(session: Session, program: Program, brought: Iterable[Opening]) -> list[StampsView]:
    """What a card's news tells of the further cards in use before any of them turns into a reward."""
    have = {one.card.id: one.stamps for one in brought}
    return [
        StampsView(card.id, card.name, have.get(card.id, 0), card.rules.needed, card.reward_name)
        for card in stamp_rules.further_cards(session, program)
    ]


def give(
    session: Session,
    program: Program,
    job: RegisterImport,
    brought: Mapping[UUID, list[Opening]],
    acts: Mapping[UUID, UUID],
    now: datetime,
) -> None:
    """Write what newcomers (member → openings) bring along. `acts`: member → the act, if it was begun already."""
    entries: list[dict[str, object]] = []
    balances: list[dict[str, object]] = []
    full: dict[UUID, UUID] = {}
    for member_id, openings in brought.items():
        act = acts.get(member_id)
        for one in openings:
            entry_id = uuid7()
            act = act or entry_id
            balances.append({"member_id": member_id, "stamp_card_id": one.card.id, "stamps": one.stamps})
            entries.append(
                {
                    "id": entry_id,
                    "program_id": program.id,
                    "member_id": member_id,
                    "operation_id": act,
                    "unit": Unit.STAMP,
                    "kind": Kind.JOIN,
                    "amount": one.stamps,
                    "at": now,
                    "expires_at": one.lapses(program, now),
                    "stamp_card_id": one.card.id,
                    "staff_id": job.staff_id,
                }
            )
            if one.stamps >= one.card.rules.needed:
                full[member_id] = act
    if entries:
        session.execute(insert(MemberStamps), balances)
        session.execute(insert(LedgerEntry), entries)
    _fill(session, program, Actor(program.id, staff_id=job.staff_id), full, now)


def _fill(session: Session, program: Program, actor: Actor, full: Mapping[UUID, UUID], now: datetime) -> None:
    """Few bring a full card along: they go one by one, as at the till."""
    query = select(Member).where(Member.id.in_(full)).order_by(Member.id)
    for member in session.scalars(query).unique() if full else ():
        issued = stamp_earning.fill_cards(session, program, member, Occasion(actor, now, full[member.id], begun=True))
        if issued:
            member.card.news = stamps_news(program, member.language, member.stamps, issued[-1].name)
