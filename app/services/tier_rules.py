"""A programme's tiers: shown with how many members each has, tried out, and changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, cast, func, literal, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, aliased
from uuid_utils.compat import uuid7

from app import clock
from app.db.bonus import BonusRate
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.db.tiers import Tier, TierChange, TierPeriod, TierRules
from app.db.visits import VisitRules
from app.i18n import N_
from app.loyalty.tiers import Gain, standing
from app.services import refresh, segment_users, tier_forms, tier_work, tiering
from app.services.audit import record
from app.services.classing import QUERY_CANCELED
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.tier_forms import TierForm, TierRow
from app.services.tier_views import TierView

_PREVIEW_MILLISECONDS = 20_000
_TOO_LONG = N_("There are too many purchases to count while you wait. Save, and look at the sizes in some minutes.")


@dataclass(frozen=True, slots=True)
class TiersView:
    """The rules with the tiers, the lowest first, and how many active members each has; the last number is of those
    in none. `until`: when who gains all that the tier needs now, and nothing more, loses it again (None: never).
    `counts_visits`: visits are counted at the door; else each purchase is one. `under_way`: the members are being
    looked at after a change."""

    rules: TierForm
    tiers: tuple[TierView, ...]
    members: tuple[int, ...]
    until: tuple[datetime | None, ...]
    counts_visits: bool
    under_way: bool


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A member moved from one tier to another; '' is none."""

    at: datetime
    before: str
    after: str


def overview(ctx: Context, program_id: UUID) -> TiersView:
    with ctx.sessions() as session:
        rules, rows = session.get(TierRules, program_id), _tiers(session, program_id)
        form = _form(rules, rows)
        sizes = session.execute(
            select(Member.tier_id, func.count())
            .where(Member.program_id == program_id, Member.status == MemberStatus.ACTIVE)
            .group_by(Member.tier_id)
        )
        counted = dict(sizes.all())
        in_tiers = [counted.get(row.id, 0) for row in rows]
        return TiersView(
            form,
            tuple(_view(row) for row in rows),
            (*in_tiers, sum(counted.values()) - sum(in_tiers)),
            tuple(_kept_until(session.get_one(Program, program_id), form, row.needs) for row in rows),
            _counts_visits(session, program_id),
            rules is not None and rules.review_id is not None,
        )


def _kept_until(program: Program, form: TierForm, needs: int) -> datetime | None:
    now = clock.now()
    period = tiering.period_of(form.period, form.days, form.grace_days, program.time_zone)
    return standing([needs], [Gain(now, needs)], period, now).until


def tiers(ctx: Context, program_id: UUID) -> list[TierView]:
    """The programme's tiers, the lowest first, also while they are switched off."""
    with ctx.sessions() as session:
        return [_view(row) for row in _tiers(session, program_id)]


def changes(ctx: Context, actor: Actor, member_id: UUID, limit: int = 20) -> list[ChangeView]:
    """The member's changes of tier, the newest first."""
    before, after = aliased(Tier), aliased(Tier)
    with ctx.sessions() as session:
        rows = session.execute(
            select(TierChange.at, func.coalesce(before.name, ""), func.coalesce(after.name, ""))
            .outerjoin(before, before.id == TierChange.before_id)
            .outerjoin(after, after.id == TierChange.after_id)
            .where(TierChange.member_id == member_id, TierChange.program_id == actor.program_id)
            .order_by(TierChange.at.desc(), TierChange.id.desc())
            .limit(limit)
        )
        return [ChangeView(*row) for row in rows]


def save(ctx: Context, actor: Actor, form: Mapping[str, str]) -> None:
    """Set rules and tiers (see tier_forms), and have all members looked at. A tier that is not there any more is
    removed, unless bonus rates or segments ask for it. Raises InvalidForm."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        rows = _tiers(session, program.id)
        rules = session.get(TierRules, program.id)
        typed = tier_forms.read(form, program.currency, [row.id for row in rows])
        before = _form(rules, rows)
        if typed == before:
            return
        _check_removed(session, program.id, rows, typed)
        if rules is None:
            rules = TierRules(program_id=program.id)
            session.add(rules)
        rules.active, rules.basis, rules.period = typed.active, typed.basis, typed.period
        rules.days, rules.grace_days = typed.days, typed.grace_days
        _write(session, program.id, rows, typed.tiers)
        program.version += 1
        refresh.announce(session, program.id)  # what is missing to the next tier is on every card
        tier_work.review_all(session, rules)
        record(session, actor, "tiers.changed", program.id)


def preview(ctx: Context, actor: Actor, form: Mapping[str, str]) -> list[tuple[str, int]]:
    """How many active members each of the typed tiers would have by what counts now, without grace and former years;
    the last, without a name, are in none. Raises InvalidForm, Refused (preview-too-long)."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        typed = tier_forms.read(form, program.currency, [row.id for row in _tiers(session, program.id)])
        counted = _counted(session, program, typed, clock.now())
    names = [*(tier.name for tier in typed.tiers), ""]
    return [(name, counted.get((place + 1) % len(names), 0)) for place, name in enumerate(names)]


def _counted(session: Session, program: Program, typed: TierForm, at: datetime) -> dict[int, int]:
    """How many tiers of the form somebody reaches → how many members reach so many."""
    period = tiering.period_of(typed.period, typed.days, typed.grace_days, program.time_zone)
    source = tiering.source_of(typed.basis, _counts_visits(session, program.id))
    gains = tiering.gains_of(source, program.id, period.counts_after(at), at).subquery("gains")
    sums = (
        select(gains.c.member_id, cast(func.sum(gains.c.amount), BigInteger).label("figure"))
        .group_by(gains.c.member_id)
        .subquery("sums")
    )
    limits = cast(literal([tier.needs for tier in typed.tiers], ARRAY(BigInteger)), ARRAY(BigInteger))
    reached = func.width_bucket(func.coalesce(sums.c.figure, 0), limits).label("reached")
    query = (
        select(reached, func.count())
        .select_from(Member)
        .outerjoin(sums, sums.c.member_id == Member.id)
        .where(Member.program_id == program.id, Member.status == MemberStatus.ACTIVE)
        .group_by(reached)
    )
    session.execute(text(f"SET LOCAL statement_timeout = {_PREVIEW_MILLISECONDS}"))
    try:
        return dict(session.execute(query).all())
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", "") != QUERY_CANCELED:
            raise
        raise Refused("preview-too-long", _TOO_LONG, status=503) from None


def _tiers(session: Session, program_id: UUID) -> list[Tier]:
    own = select(Tier).where(Tier.program_id == program_id, ~Tier.removed)
    return list(session.scalars(own.order_by(Tier.needs)))


def _counts_visits(session: Session, program_id: UUID) -> bool:
    rules = session.get(VisitRules, program_id)
    return rules is not None and rules.active


def _view(row: Tier) -> TierView:
    return TierView(row.id, row.name, row.needs, row.color, row.benefits)


def _form(rules: TierRules | None, rows: Sequence[Tier]) -> TierForm:
    if rules is None:
        return TierForm()
    tiers = tuple(TierRow(row.id, row.name, row.needs, row.color, row.benefits) for row in rows)
    days = rules.days if rules.period is TierPeriod.ROLLING else tier_forms.USUAL_DAYS
    return TierForm(rules.active, rules.basis, rules.period, days, rules.grace_days, tiers)


def _check_removed(session: Session, program_id: UUID, rows: Sequence[Tier], typed: TierForm) -> None:
    """Raises InvalidForm for a tier that is not in the form any more, and that something else asks for."""
    kept = {tier.id for tier in typed.tiers}
    for row in rows:
        if row.id in kept:
            continue
        rates = select(BonusRate.id).where(BonusRate.tier_id == row.id, BonusRate.active).limit(1)
        if session.scalars(rates).first() is not None:
            raise _in_use(N_("“%(tier)s” has a bonus of its own. Change that first."), tier=row.name)
        if (user := segment_users.user(session, program_id, "tier_id", row.id)) is not None:
            raise _in_use(N_("“%(name)s” asks for the tier “%(tier)s”. Change that first."), tier=row.name, name=user)


def _in_use(message: str, **params: object) -> InvalidForm:
    return InvalidForm({"form": Refused("tier-in-use", message, params, status=409)})


def _write(session: Session, program_id: UUID, rows: Sequence[Tier], typed: Sequence[TierRow]) -> None:
    """Names and limits may change places, and no two may be the same at any moment: all rows make room first."""
    kept = {tier.id for tier in typed}
    for row in rows:
        row.removed = True
    session.flush()
    by_id = {row.id: row for row in rows}
    for position, tier in enumerate(typed):
        row = by_id[tier.id] if tier.id in by_id else Tier(id=uuid7(), program_id=program_id)
        row.name, row.needs, row.color, row.benefits = tier.name, tier.needs, tier.color, tier.benefits
        row.position, row.removed = position, False
        if row.id not in kept:
            session.add(row)
    session.flush()
