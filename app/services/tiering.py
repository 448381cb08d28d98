"""Which tier a member is in: looked at whenever something counts, is undone, or stops to count.

Works inside the caller's transaction. app.loyalty.tiers says what a history leads to; nothing here depends on which
tier a member was in before, so that looking twice, or late, does no harm.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Uuid,
    and_,
    any_,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import BIGINT
from sqlalchemy.orm import Session, aliased

from app.db.ledger import LedgerEntry
from app.db.lookup import Compiled
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.db.purchases import Purchase
from app.db.tiers import Tier, TierBasis, TierChange, TierPeriod, TierRules
from app.db.visits import Visit, VisitRules
from app.i18n import N_, translator
from app.loyalty.tiers import Gain, Period, look_at, missing, standing
from app.services.card_news import announce
from app.services.recent import Recent
from app.services.tier_views import TierStanding, TierView

_NONE: Mapping[UUID, TierStanding] = {}
# What counts → where it is kept.
_TABLES: Mapping[str, Any] = {"spending": Purchase, "purchases": Purchase, "visits": Visit, "points": LedgerEntry}


@dataclass(frozen=True, slots=True)
class Ladder:
    """A programme's tiers, the lowest first, and what leads to them. `source`: the rows that count."""

    basis: TierBasis
    source: str
    period: Period
    tiers: tuple[TierView, ...]

    @property
    def needs(self) -> list[int]:
        return [tier.needs for tier in self.tiers]

    def place_of(self, tier_id: UUID | None) -> int | None:
        return next((place for place, tier in enumerate(self.tiers) if tier.id == tier_id), None)


_LADDER = Compiled(
    select(
        TierRules.basis,
        TierRules.period,
        TierRules.days,
        TierRules.grace_days,
        VisitRules.active,
        Tier.id,
        Tier.name,
        Tier.needs,
        Tier.color,
        Tier.benefits,
    )
    .join(Tier, and_(Tier.program_id == TierRules.program_id, ~Tier.removed))
    .outerjoin(VisitRules, VisitRules.program_id == TierRules.program_id)
    .where(TierRules.program_id == bindparam("program_id"), TierRules.active)
    .order_by(Tier.needs)
)


# Saving tiers, or how visits count, makes another version of the programme.
_ladders: Recent[Ladder | None] = Recent(256)


def ladder(session: Session, program: Program) -> Ladder | None:
    """The programme's tiers; None when it has none, or they are switched off."""
    return _ladders.get((program.id, program.version), lambda: _read_ladder(session, program))


def _read_ladder(session: Session, program: Program) -> Ladder | None:
    rows = _LADDER.within(session, program_id=program.id)
    if not rows:
        return None
    basis, period, days, grace_days, counts_visits = rows[0][:5]
    return Ladder(
        TierBasis(basis),
        source_of(TierBasis(basis), bool(counts_visits)),
        period_of(TierPeriod(period), days, grace_days, program.time_zone),
        tuple(TierView(*row[5:]) for row in rows),
    )


def period_of(period: TierPeriod, days: int, grace_days: int, time_zone: str) -> Period:
    return Period(days if period is TierPeriod.ROLLING else None, grace_days, time_zone)


def source_of(basis: TierBasis, counts_visits: bool) -> str:
    """Which rows count: where the programme counts no visits, each purchase is one."""
    if basis is TierBasis.VISITS:
        return "visits" if counts_visits else "purchases"
    return basis.value


def _gains(source: str) -> Any:
    """(member_id, at, amount) of what counts and stands, of all members and times."""
    undone = aliased(LedgerEntry)
    one = literal_column("1", BIGINT)
    match source:
        case "visits":
            return select(Visit.member_id, Visit.at, one.label("amount")).where(Visit.undone_at.is_(None))
        case "points":
            return select(LedgerEntry.member_id, LedgerEntry.at, LedgerEntry.amount).where(
                text("ledger_entries.unit = 'bonus' AND ledger_entries.kind = 'earn'"),
                ~select(undone.id).where(undone.reverses_id == LedgerEntry.id).exists(),
            )
        case _:
            amount = one if source == "purchases" else func.coalesce(Purchase.amount_minor, text("0"))
            return select(Purchase.member_id, Purchase.at, amount.label("amount")).where(Purchase.undone_at.is_(None))


def gains_of(source: str, program_id: UUID, after: datetime, at: datetime) -> Any:
    """(member_id, at, amount) of all that the programme's members gained later than `after`, until `at`."""
    table = _TABLES[source]
    return _gains(source).where(
        table.program_id == program_id, table.at > after, table.at <= at, table.member_id.is_not(None)
    )


def _own_gains(source: str) -> Compiled:
    table = _TABLES[source]
    own = table.member_id == bindparam("member_id")
    return Compiled(_gains(source).where(own, table.at > bindparam("after"), table.at <= bindparam("at")))


_OWN_GAINS = {source: _own_gains(source) for source in _TABLES}


def review(
    session: Session, program: Program, member: Member, at: datetime, *, silent: bool = False, tell: bool = False
) -> None:
    """See which tier the member, whose row the caller has locked, is in at the moment `at`, and plan the next look.

    A rise is told on the lock screen unless `silent`; everything else only on the card. With `tell` also that nothing
    changed but what is missing to the next tier.
    """
    steps = ladder(session, program)
    if steps is None or member.status is MemberStatus.ERASED:
        member.tier_until = member.tier_look_at = None
        if member.tier_id is not None:
            _move(session, program, member, None, at)
        return
    values = {"member_id": member.id, "after": steps.period.matters_after(at), "at": at}
    gains = [Gain(moment, amount) for _, moment, amount in _OWN_GAINS[steps.source].within(session, **values)]
    now = standing(steps.needs, gains, steps.period, at)
    tier = None if now.place is None else steps.tiers[now.place]
    if (tier.id if tier else None) != member.tier_id:
        rises = now.place is not None and now.place > _place_before(steps, member)
        news = _news(member.language, tier.name) if tier and rises and not silent else ""
        _move(session, program, member, tier, at, news if member.status is MemberStatus.ACTIVE else "")
    elif tell:
        announce(session, program, member, at, silent=True)
    look = look_at(steps.needs, gains, steps.period, at, now)
    if (member.tier_until, member.tier_look_at) != (now.until, look):
        member.tier_until, member.tier_look_at = now.until, look


def look_soon(session: Session, program: Program, member_ids: Collection[UUID], at: datetime) -> None:
    """Have newcomers looked at by the chores: a lowest tier that needs nothing is for them, too."""
    steps = ladder(session, program) if member_ids else None
    if steps is not None and steps.needs[0] <= 0:
        session.execute(
            update(Member)
            .where(Member.id.in_(member_ids))
            .values(tier_look_at=at)
            .execution_options(synchronize_session=False)
        )


def _place_before(steps: Ladder, member: Member) -> int:
    """Who comes from a tier that there is no more has not risen."""
    if member.tier_id is None:
        return -1
    place = steps.place_of(member.tier_id)
    return len(steps.tiers) if place is None else place


def _move(
    session: Session, program: Program, member: Member, tier: TierView | None, at: datetime, news: str = ""
) -> None:
    after_id = tier.id if tier else None
    session.add(
        TierChange(program_id=program.id, member_id=member.id, before_id=member.tier_id, after_id=after_id, at=at)
    )
    member.tier_id, member.tier_since = after_id, at if tier else None
    if member.status is not MemberStatus.ERASED:
        announce(session, program, member, at, silent=not news, news=news, gift=True)


def _news(language: str, tier: str) -> str:
    return translator(language).gettext(N_("You are %(tier)s now"), tier=tier)


def standings(
    session: Session, program: Program, members: Sequence[Member], at: datetime
) -> Mapping[UUID, TierStanding]:
    """Where these members of the programme stand at the moment `at`; nothing when it has no tiers."""
    steps = ladder(session, program) if members else None
    if steps is None:
        return _NONE
    whose = cast(literal([member.id for member in members], ARRAY(Uuid)), ARRAY(Uuid))
    gains = gains_of(steps.source, program.id, steps.period.counts_after(at), at).subquery("gains")
    rows = session.execute(
        select(gains.c.member_id, func.sum(gains.c.amount))
        .where(gains.c.member_id == any_(whose))
        .group_by(gains.c.member_id)
    )
    figures = {member_id: int(figure) for member_id, figure in rows}
    return {member.id: _standing(steps, member, figures.get(member.id, 0)) for member in members}


def _standing(steps: Ladder, member: Member, figure: int) -> TierStanding:
    place = steps.place_of(member.tier_id)
    above = 0 if place is None else place + 1
    return TierStanding(
        steps.basis,
        None if place is None else steps.tiers[place],
        member.tier_since,
        member.tier_until,
        figure,
        steps.tiers[above] if above < len(steps.tiers) else None,
        missing(steps.needs, place, figure) or 0,
    )
