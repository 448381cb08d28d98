"""What `leima doctor` asks the engines: do sums and balances agree, is somebody in charge, and is all delivered."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from rq import Worker
from rq.serializers import JSONSerializer
from sqlalchemy import and_, case, func, or_, select, text

from app import clock
from app.db.delivery import Channel, OutboxRow, OutboxState
from app.db.ledger import LedgerEntry, Reward, RewardStatus
from app.db.people import Member, Role, Staff
from app.db.programs import Program
from app.loyalty.ledger import Unit
from app.services import doorbell
from app.services.context import Context

# The relay rings every second for what is due: by then a worker has taken it, or there is none.
LATE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Difference:
    """A member whose cached balances are not the sums of the ledger."""

    member_id: UUID
    stamps: int
    stamps_in_ledger: int
    rewards: int
    rewards_in_ledger: int
    rewards_open: int


def differences(ctx: Context, limit: int = 20) -> list[Difference]:
    """Members whose cached balances, ledger sums or open rewards disagree; empty when all is well."""
    sums = (
        select(
            LedgerEntry.member_id,
            func.sum(case((LedgerEntry.unit == Unit.STAMP, LedgerEntry.amount), else_=0)).label("stamps"),
            func.sum(case((LedgerEntry.unit == Unit.REWARD, LedgerEntry.amount), else_=0)).label("rewards"),
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
    stamps, rewards = func.coalesce(sums.c.stamps, 0), func.coalesce(sums.c.rewards, 0)
    held_number = func.coalesce(held.c.number, 0)
    query = (
        select(Member.id, Member.stamps, stamps, Member.rewards, rewards, held_number)
        .outerjoin(sums, sums.c.member_id == Member.id)
        .outerjoin(held, held.c.member_id == Member.id)
        .where(or_(Member.stamps != stamps, Member.rewards != rewards, Member.rewards != held_number))
        .order_by(Member.id)
        .limit(limit)
    )
    with ctx.sessions() as session:
        return [Difference(*row) for row in session.execute(query)]


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
