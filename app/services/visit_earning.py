"""Counting a visit, and what it gives. Works inside the caller's transaction, on a locked and settled member."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, delete, select, union_all, update
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app.db.ledger import Reward
from app.db.lookup import Compiled
from app.db.people import Member
from app.db.programs import Program
from app.db.visits import UncountedVisit, Visit
from app.loyalty.ledger import Kind, Unit
from app.loyalty.visits import in_the_way, is_due
from app.services import rewards, visit_rules
from app.services.bought import Bought
from app.services.ledger_book import Occasion, write
from app.services.visit_rules import Rules

# Which visit counts can depend on the one before it, and so on: so far back it is followed.
_REACH = timedelta(days=400)

_TOLD = Compiled(
    union_all(
        select(Visit.at).where(
            Visit.member_id == bindparam("member_id"), Visit.at >= bindparam("since"), Visit.undone_at.is_(None)
        ),
        select(UncountedVisit.at).where(
            UncountedVisit.member_id == bindparam("member_id"), UncountedVisit.at >= bindparam("since")
        ),
    )
)


@dataclass(slots=True)
class Visited:
    """What came of a visit. `instead` is the visit because of which it does not count; None: it counts."""

    instead: datetime | None = None
    issued: list[Reward] = field(default_factory=list)

    @property
    def counts(self) -> bool:
        return self.instead is None


def by_purchase(session: Session, program: Program, member: Member, act: Occasion, bought: Bought) -> list[Reward]:
    """Count a purchase as a visit, where the programme does so; return the rewards that it gave."""
    rules = visit_rules.within(session, program.id)
    if not (rules.active and rules.count_purchases):
        return []
    return visit(session, program, member, act, bought.at, rules, instead(session, member, bought.at, rules)).issued


def instead(session: Session, member: Member, at: datetime, rules: Rules) -> datetime | None:
    """The visit because of which one at the moment `at` does not count; None: it counts."""
    told = _TOLD.within(session, member_id=member.id, since=at - _REACH)
    return in_the_way([moment for (moment,) in told], at, rules.apart)


def visit(
    session: Session,
    program: Program,
    member: Member,
    act: Occasion,
    at: datetime,
    rules: Rules,
    instead: datetime | None,
) -> Visited:
    """Keep that the card was shown at the moment `at`. Unless another visit is counted `instead`, it counts, and gives
    what the visit of its number gives, once: not again when an earlier visit was undone meanwhile."""
    if instead is not None:
        session.add(UncountedVisit(program_id=program.id, member_id=member.id, at=at, operation_id=act.operation_id))
        return Visited(instead)
    write(session, member, act, Unit.VISIT, Kind.EARN, 1)
    row = Visit(
        id=uuid7(),
        program_id=program.id,
        member_id=member.id,
        at=at,
        recorded_at=act.at,
        location_id=act.location_id,
        staff_id=act.actor.staff_id,
        api_key_id=act.actor.api_key_id,
        operation_id=act.operation_id,
    )
    session.add(row)
    done = Visited()
    due = [goal for goal in visit_rules.goals_within(session, program.id) if is_due(goal.step, member.visits)]
    if due and not _was_rewarded(session, member):
        for goal in due:
            type_ = rewards.to_give(session, program, goal.reward_type_id, act.at)
            if type_ is not None:
                done.issued.append(rewards.issue(session, program, member, act, type_, Kind.GRANT))
        row.rewarded = member.visits if done.issued else None
    session.flush()
    return done


def _was_rewarded(session: Session, member: Member) -> bool:
    standing = (Visit.member_id == member.id, Visit.rewarded == member.visits, Visit.undone_at.is_(None))
    return session.scalars(select(Visit.id).where(*standing).limit(1)).first() is not None


def mark_undone(session: Session, operation_id: UUID, at: datetime) -> None:
    """This act's visit, if it was one, was taken back; and what came too soon after it, or before it, with it."""
    session.execute(delete(UncountedVisit).where(UncountedVisit.operation_id == operation_id))
    undone = session.execute(
        update(Visit)
        .where(Visit.operation_id == operation_id, Visit.undone_at.is_(None))
        .values(undone_at=at)
        .returning(Visit.program_id, Visit.member_id, Visit.at)
        .execution_options(synchronize_session=False)
    ).all()
    for program_id, member_id, moment in undone:
        apart = visit_rules.within(session, program_id).apart
        session.execute(
            delete(UncountedVisit).where(
                UncountedVisit.member_id == member_id,
                UncountedVisit.at > moment - apart,
                UncountedVisit.at < moment + apart,
            )
        )
