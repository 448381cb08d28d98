"""How a programme stands: what is set up, and the numbers of the start page."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import Session, aliased

from app import clock
from app.db.ledger import LedgerEntry, Reward, RewardStatus
from app.db.people import Member, MemberStatus, Role, Staff
from app.db.programs import Location
from app.loyalty.ledger import Kind, Unit
from app.services import programs
from app.services.context import Actor, Context
from app.services.programs import ProgramView
from certs.identity import CertificateError

FEW_DAYS = 30  # a new certificate takes a few days to get: from here on the page warns


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate that signs the programme's cards. `days_left` is None when there is none to use."""

    pass_type: str
    days_left: int | None = None
    development: bool = False

    @property
    def ready(self) -> bool:
        return self.days_left is not None and self.days_left > FEW_DAYS and not self.development


@dataclass(frozen=True, slots=True)
class SetUp:
    """What of the programme is set up."""

    texts: bool
    logo: bool
    locations: bool
    cashiers: bool
    members: bool
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Numbers:
    """Counts as of now. Stamps that were undone do not count."""

    members: int
    joined_week: int
    joined_month: int
    stamps_week: int
    rewards_open: int
    rewards_redeemed: int
    channels: list[tuple[str, int]]


def set_up(ctx: Context, actor: Actor) -> SetUp:
    program = programs.get(ctx, actor.program_id)
    with ctx.sessions() as session:
        here = program.id
        return SetUp(
            texts=bool(program.terms_text and program.contact_text),
            logo=program.logo_id is not None,
            locations=_any(session, Location.program_id == here, Location.active.is_(True)),
            cashiers=_any(session, Staff.program_id == here, Staff.active.is_(True), Staff.role == Role.CASHIER),
            members=_any(session, Member.program_id == here),
            certificate=certificate(ctx, program),
        )


def certificate(ctx: Context, program: ProgramView) -> Certificate:
    """The certificate of the programme's pass type; where none is chosen, the only one of the installation."""
    known = programs.pass_types(ctx)
    pass_type = program.pass_type_identifier or (known[0] if len(known) == 1 else "")
    if pass_type not in known:
        return Certificate(pass_type)
    try:
        found = ctx.identity(pass_type)
    except CertificateError:
        return Certificate(pass_type)
    return Certificate(pass_type, found.days_left(clock.now()), found.development)


def numbers(ctx: Context, actor: Actor) -> Numbers:
    now = clock.now()
    week, month = now - timedelta(days=7), now - timedelta(days=30)
    mine = Member.program_id == actor.program_id
    rewards = Reward.program_id == actor.program_id
    living = Reward.expires_at.is_(None) | (Reward.expires_at > now)
    undo = aliased(LedgerEntry)
    stamps = select(func.coalesce(func.sum(LedgerEntry.amount), 0)).where(
        LedgerEntry.program_id == actor.program_id,
        LedgerEntry.unit == Unit.STAMP,
        LedgerEntry.kind.in_([Kind.EARN, Kind.BONUS, Kind.JOIN]),
        LedgerEntry.at > week,
        ~exists().where(undo.reverses_id == LedgerEntry.id),
    )
    with ctx.sessions() as session:
        return Numbers(
            members=_count(session, mine, Member.status == MemberStatus.ACTIVE),
            joined_week=_count(session, mine, Member.joined_at > week),
            joined_month=_count(session, mine, Member.joined_at > month),
            stamps_week=int(session.scalar(stamps) or 0),
            rewards_open=_count(session, rewards, Reward.status == RewardStatus.ISSUED, living),
            rewards_redeemed=_count(session, rewards, Reward.status == RewardStatus.REDEEMED),
            channels=joins_by_channel(ctx, actor),
        )


def with_stamps(ctx: Context, program: ProgramView) -> int:
    """How many members have stamps on their card: those whom another number of stamps to a reward concerns."""
    with ctx.sessions() as session:
        return _count(session, Member.program_id == program.id, Member.stamps > 0)


def _any(session: Session, *conditions: ColumnElement[bool]) -> bool:
    return bool(session.scalar(select(exists().where(*conditions))))


def _count(session: Session, *conditions: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).where(*conditions)) or 0


def joins_by_channel(ctx: Context, actor: Actor) -> list[tuple[str, int]]:
    """How many members joined through each channel, most first. '' is no channel."""
    with ctx.sessions() as session:
        count = func.count()
        rows = session.execute(
            select(Member.via, count)
            .where(Member.program_id == actor.program_id)
            .group_by(Member.via)
            .order_by(count.desc(), Member.via)
        )
        return [(via, number) for via, number in rows]
