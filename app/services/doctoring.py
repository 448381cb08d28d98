"""What `leima doctor` asks the engines: do sums and balances agree, is somebody in charge, and is all delivered."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from rq import Worker
from rq.serializers import JSONSerializer
from sqlalchemy import Subquery, and_, case, func, or_, select, text
from sqlalchemy.orm import aliased

from app import clock
from app.db.credit import Credit
from app.db.delivery import Channel, OutboxRow, OutboxState
from app.db.ledger import LedgerEntry, Reward, RewardStatus
from app.db.people import Member, Role, Staff
from app.db.programs import Program
from app.db.stamps import MemberStamps
from app.db.visits import Visit
from app.loyalty.ledger import Kind, Unit
from app.services import doorbell
from app.services.context import Context

# The relay rings every second for what is due: by then a worker has taken it, or there is none.
LATE = timedelta(minutes=1)


_OF_FIRST_CARD = and_(LedgerEntry.unit == Unit.STAMP, LedgerEntry.stamp_card_id.is_(None))


@dataclass(frozen=True, slots=True)
class Difference:
    """A member whose cached balances are not the sums of the ledger."""

    member_id: UUID
    stamps: int
    stamps_in_ledger: int
    rewards: int
    rewards_in_ledger: int
    rewards_open: int
    credit_minor: int
    credit_in_ledger: int
    credit_open: int  # what the credits themselves say
    bonus: int
    bonus_in_ledger: int
    bonus_earned: int
    bonus_earned_in_ledger: int
    visits: int
    visits_in_ledger: int
    visits_kept: int  # that stand in their own table


def differences(ctx: Context, limit: int = 20) -> list[Difference]:
    """Members whose cached balances, ledger sums, open rewards or credits disagree; empty when all is well."""
    sums = (
        select(
            LedgerEntry.member_id,
            func.sum(case((_OF_FIRST_CARD, LedgerEntry.amount), else_=0)).label("stamps"),
            func.sum(case((LedgerEntry.unit == Unit.REWARD, LedgerEntry.amount), else_=0)).label("rewards"),
            func.sum(case((LedgerEntry.unit == Unit.CREDIT, LedgerEntry.amount), else_=0)).label("credit"),
            func.sum(case((LedgerEntry.unit == Unit.BONUS, LedgerEntry.amount), else_=0)).label("bonus"),
            func.sum(case((LedgerEntry.unit == Unit.VISIT, LedgerEntry.amount), else_=0)).label("visits"),
        )
        .group_by(LedgerEntry.member_id)
        .subquery()
    )
    held = (
        select(Reward.member_id, func.count().label("number"))
        .where(Reward.status == RewardStatus.ISSUED)
        .group_by(Reward.member_id)
        .subquery()
    )
    owned = (
        select(Credit.member_id, func.sum(Credit.balance_minor).label("balance")).group_by(Credit.member_id).subquery()
    )
    earned = _earned()
    came = (
        select(Visit.member_id, func.count().label("number"))
        .where(Visit.undone_at.is_(None))
        .group_by(Visit.member_id)
        .subquery()
    )
    visits, visits_kept = func.coalesce(sums.c.visits, 0), func.coalesce(came.c.number, 0)
    bonus, bonus_earned = func.coalesce(sums.c.bonus, 0), func.coalesce(earned.c.earned, 0)
    stamps, rewards = func.coalesce(sums.c.stamps, 0), func.coalesce(sums.c.rewards, 0)
    credit, balance = func.coalesce(sums.c.credit, 0), func.coalesce(owned.c.balance, 0)
    held_number = func.coalesce(held.c.number, 0)
    wrong = or_(
        Member.stamps != stamps,
        Member.rewards != rewards,
        Member.rewards != held_number,
        Member.credit_minor != credit,
        Member.credit_minor != balance,
        Member.bonus != bonus,
        Member.bonus_earned != bonus_earned,
        Member.visits != visits,
        Member.visits != visits_kept,
    )
    cached = (Member.stamps, stamps, Member.rewards, rewards, held_number, Member.credit_minor, credit, balance)
    more = (Member.bonus, bonus, Member.bonus_earned, bonus_earned, Member.visits, visits, visits_kept)
    query = (
        select(Member.id, *cached, *more)
        .outerjoin(sums, sums.c.member_id == Member.id)
        .outerjoin(held, held.c.member_id == Member.id)
        .outerjoin(owned, owned.c.member_id == Member.id)
        .outerjoin(earned, earned.c.member_id == Member.id)
        .outerjoin(came, came.c.member_id == Member.id)
        .where(wrong)
        .order_by(Member.id)
        .limit(limit)
    )
    with ctx.sessions() as session:
        return [Difference(*row) for row in session.execute(query)]


def _earned() -> Subquery:
    """What each member's purchases earned of bonus, without those that were undone."""
    undo = aliased(LedgerEntry)
    return (
        select(LedgerEntry.member_id, func.sum(LedgerEntry.amount).label("earned"))
        .where(LedgerEntry.unit == Unit.BONUS, LedgerEntry.kind == Kind.EARN)
        .where(~select(undo.id).where(undo.reverses_id == LedgerEntry.id).exists())
        .group_by(LedgerEntry.member_id)
        .subquery()
    )


def credit_differences(ctx: Context, limit: int = 20) -> list[tuple[UUID, int, int]]:
    """Credits, members' and groups', whose balance is not the sum of their ledger: (id, balance, sum); empty when all
    is well."""
    sums = (
        select(LedgerEntry.credit_id, func.sum(LedgerEntry.amount).label("sum"))
        .where(LedgerEntry.credit_id.is_not(None))
        .group_by(LedgerEntry.credit_id)
        .subquery()
    )
    found = func.coalesce(sums.c.sum, 0)
    query = (
        select(Credit.id, Credit.balance_minor, found)
        .outerjoin(sums, sums.c.credit_id == Credit.id)
        .where(Credit.balance_minor != found)
        .order_by(Credit.id)
        .limit(limit)
    )
    with ctx.sessions() as session:
        return [(credit_id, balance, total) for credit_id, balance, total in session.execute(query)]


def stamp_differences(ctx: Context, limit: int = 20) -> list[tuple[UUID, UUID, int, int]]:
    """Members whose balance on a further stamp card is not the sum of the ledger: (member, card, balance, sum); empty
    when all is well."""
    sums = (
        select(LedgerEntry.member_id, LedgerEntry.stamp_card_id, func.sum(LedgerEntry.amount).label("sum"))
        .where(LedgerEntry.stamp_card_id.is_not(None))
        .group_by(LedgerEntry.member_id, LedgerEntry.stamp_card_id)
        .subquery()
    )
    whose = func.coalesce(MemberStamps.member_id, sums.c.member_id)
    card = func.coalesce(MemberStamps.stamp_card_id, sums.c.stamp_card_id)
    held, found = func.coalesce(MemberStamps.stamps, 0), func.coalesce(sums.c.sum, 0)
    same = and_(sums.c.member_id == MemberStamps.member_id, sums.c.stamp_card_id == MemberStamps.stamp_card_id)
    query = (
        select(whose, card, held, found)
        .select_from(MemberStamps)
        .join(sums, same, full=True)
        .where(held != found)
        .order_by(whose, card)
        .limit(limit)
    )
    with ctx.sessions() as session:
        return [(member_id, card_id, balance, total) for member_id, card_id, balance, total in session.execute(query)]


def programs_without_owner(ctx: Context) -> list[str]:
    """Short names of programmes that nobody can manage."""
    owner = and_(Staff.program_id == Program.id, Staff.role == Role.OWNER, Staff.active)
    with ctx.sessions() as session:
        return list(session.scalars(select(Program.slug).where(~select(Staff.id).where(owner).exists())))


def database_facts(ctx: Context) -> tuple[int, datetime]:
    """PostgreSQL's version (180004 is 18.4) and its clock."""
    with ctx.sessions() as session:
        version = int(session.execute(text("SHOW server_version_num")).scalar_one())
        return version, session.execute(text("SELECT clock_timestamp()")).scalar_one()


def late_rows(ctx: Context) -> tuple[int, datetime | None]:
    """How many outbox rows nobody took when they were due, and when the oldest of them was."""
    query = select(func.count(), func.min(OutboxRow.due_at)).where(
        OutboxRow.state != OutboxState.DEAD, OutboxRow.due_at < clock.now() - LATE
    )
    with ctx.sessions() as session:
        count, oldest = session.execute(query).one()
        return count, oldest


def dead_rows(ctx: Context) -> list[tuple[str, int]]:
    """Programmes (by short name) with outbox rows that could not be told, and how many."""
    query = (
        select(Program.slug, func.count())
        .join(OutboxRow, OutboxRow.program_id == Program.id)
        .where(OutboxRow.state == OutboxState.DEAD)
        .group_by(Program.slug)
        .order_by(Program.slug)
    )
    with ctx.sessions() as session:
        return [(slug, count) for slug, count in session.execute(query)]


def channels_without_worker(ctx: Context) -> list[Channel]:
    """Channels that no worker has signed in for. One that was killed counts for a minute or two more.

    Raises redis.RedisError without Valkey.
    """
    return [
        channel
        for channel in Channel
        if not Worker.all(queue=doorbell.queue(ctx.valkey, channel), serializer=JSONSerializer)
    ]
