"""A programme's stamp cards and windows of double stamps, as the rules in force; and what members have on the cards."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, select
from sqlalchemy.orm import Session

from app.db.lookup import Compiled
from app.db.people import Member
from app.db.programs import Program
from app.db.stamps import DoubleWindow, MemberStamps, StampCard
from app.loyalty.stamps import StampRules, product_key
from app.loyalty.windows import Window, factor
from app.services.recent import Recent
from app.services.views import StampsView

_COUNTS = Compiled(
    select(MemberStamps.member_id, MemberStamps.stamp_card_id, MemberStamps.stamps).where(
        MemberStamps.member_id == any_(bindparam("member_ids", type_=ARRAY(Uuid)))
    )
)


@dataclass(frozen=True, slots=True)
class CardRules:
    """A stamp card. `id` is None for the programme's first one, whose name may be empty."""

    id: UUID | None
    name: str
    rules: StampRules
    reward_name: str
    reward_type_id: UUID | None = None


# Saving cards or windows makes another version of the programme, so tills need not ask for them at every stamp.
_further: Recent[tuple[CardRules, ...]] = Recent(256)
_windows: Recent[tuple[Window, ...]] = Recent(256)


def first_card(program: Program) -> CardRules:
    return CardRules(None, program.stamp_card_name, rules_of(program, program), program.reward_name)


def further_cards(session: Session, program: Program) -> tuple[CardRules, ...]:
    """The cards in use beside the first one, in their order."""

    def read() -> tuple[CardRules, ...]:
        query = select(StampCard).where(StampCard.program_id == program.id, StampCard.active)
        return tuple(card_rules(program, row) for row in session.scalars(query.order_by(StampCard.position)))

    return _further.get((program.id, program.version), read)


def cards_of(session: Session, program: Program) -> tuple[CardRules, ...]:
    """All stamp cards in use; the first one is always there."""
    return (first_card(program), *further_cards(session, program))


def card_rules(program: Program, row: StampCard) -> CardRules:
    return CardRules(row.id, row.name, rules_of(program, row), row.reward_name, row.reward_type_id)


def rules_of(program: Program, card: Program | StampCard) -> StampRules:
    """The rules of the programme's first card (`card` is the programme then) or of a further one."""
    return StampRules(
        needed=card.stamps_needed,
        time_zone=program.time_zone,
        smallest_purchase_minor=card.smallest_purchase_minor,
        valid_days=card.stamp_valid_days,
        join_stamps=card.join_stamps,
        reward_valid_days=card.reward_valid_days,
        starts_on=program.starts_on,
        birthday_stamps=card.birthday_stamps,
        products=frozenset(product_key(product) for product in card.stamp_products),
        per_minor=card.stamp_per_minor,
    )


def windows_of(session: Session, program: Program) -> tuple[Window, ...]:
    """The programme's windows of double stamps that are in use."""

    def read() -> tuple[Window, ...]:
        query = select(DoubleWindow).where(DoubleWindow.program_id == program.id, DoubleWindow.active)
        return tuple(window_of(row) for row in session.scalars(query.order_by(DoubleWindow.id)))

    return _windows.get((program.id, program.version), read)


def window_of(row: DoubleWindow) -> Window:
    return Window(
        row.factor,
        frozenset(row.weekdays),
        row.from_time,
        row.until_time,
        row.first_day,
        row.last_day,
        frozenset(UUID(location_id) for location_id in row.location_ids),
    )


def times(session: Session, program: Program, member: Member, at: datetime, location_id: UUID | None) -> int:
    """How many times the stamps of a purchase of this moment and place count."""
    windows = windows_of(session, program)
    return factor(windows, at, program.time_zone, location_id, member.double_until)


def counts(session: Session, program: Program, member_ids: Sequence[UUID]) -> dict[UUID, tuple[StampsView, ...]]:
    """What these members have on each further card. One query, and none for a programme without such cards."""
    cards = further_cards(session, program)
    if not cards or not member_ids:
        return {}
    rows = _COUNTS.within(session, member_ids=list(member_ids))
    held = {(member_id, card_id): stamps for member_id, card_id, stamps in rows}
    return {
        member_id: tuple(
            StampsView(card.id, card.name, held.get((member_id, card.id), 0), card.rules.needed, card.reward_name)
            for card in cards
        )
        for member_id in member_ids
    }


def all_counts(session: Session, program: Program, member: Member) -> tuple[StampsView, ...]:
    """What the member has on every card, the first one included."""
    first = StampsView(None, program.stamp_card_name, member.stamps, program.stamps_needed, program.reward_name)
    return (first, *counts(session, program, [member.id]).get(member.id, ()))
