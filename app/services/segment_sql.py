"""Segments as SQL: what app.loyalty.segment_leaves says of one member, for all members at once.

Each condition that looks beyond the member's own row joins a set of rows, one a member at most, and asks whether there
is one. Outer joins stay quick in any mixture of and, or and not, where EXISTS would be asked once for each member.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import singledispatch
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    extract,
    false,
    func,
    not_,
    or_,
    select,
    true,
)

from app.db.campaigns import PhoneListMember
from app.db.credit import MemberClass
from app.db.joining import JoinAnswer
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.db.purchases import Purchase
from app.db.tiers import GroupMember
from app.loyalty import nps
from app.loyalty import segment_belonging as belonging
from app.loyalty import segment_leaves as leaf
from app.loyalty.birthdays import coming
from app.loyalty.credit import day_begins, day_of
from app.loyalty.segments import Group, How, Node
from app.services import segment_sets

# For whoever runs such a statement over a whole programme: its joins are hashed in memory, and compiling it for the
# processor would take longer than running it.
SETTINGS = ("SET LOCAL work_mem = '64MB'", "SET LOCAL jit = off")

_A_DAY = timedelta(days=1)


def compiled(tree: Group, program: Program, now: datetime) -> Select[UUID]:
    """The ids of the programme's active members whom the tree chooses, each once, in no order."""
    query = _Query(program, now)
    chosen = query.condition(tree)
    return (
        select(Member.id)
        .select_from(query.source)
        .where(Member.program_id == program.id, Member.status == MemberStatus.ACTIVE, chosen)
    )


@dataclass
class _Query:
    """A query in the making. Conditions that ask for the same rows share one join."""

    program: Program
    now: datetime
    source: Any = Member.__table__
    joined: dict[Hashable, FromClause] = field(default_factory=dict)

    def condition(self, node: Node) -> ColumnElement[bool]:
        """True or false for each row of `source`, and never null: 'none of' turns it round."""
        if not isinstance(node, Group):
            return _condition(node, self)
        parts = [self.condition(part) for part in node.of]
        match node.how:
            case How.ALL:
                return and_(true(), *parts)
            case How.ANY:
                return or_(false(), *parts)
            case How.NONE:
                return not_(or_(false(), *parts))

    def rows(self, name: Hashable, make: Callable[[], Any], *, once: bool = False) -> Any:
        """The columns of this set, whose rows have a `member_id`, no two the same.

        `once`: it takes long to find, and not each of PostgreSQL's parallel workers is to find it by itself.
        """
        if name not in self.joined:
            label = f"set_{len(self.joined) + 1}"
            found: FromClause
            if once:
                found = make().cte(label).prefix_with("MATERIALIZED", dialect="postgresql")
            else:
                found = make().subquery(label)
            self.source = self.source.outerjoin(found, found.c.member_id == Member.id)
            self.joined[name] = found
        return self.joined[name].c

    def has(self, name: Hashable, make: Callable[[], Any], *, once: bool = False) -> ColumnElement[bool]:
        """Whether the member is in this set."""
        found: ColumnElement[bool] = self.rows(name, make, once=once).member_id.is_not(None)
        return found


def _between(value: Any, least: object | None, most: object | None) -> ColumnElement[bool]:
    limits = ([value >= least] if least is not None else []) + ([value <= most] if most is not None else [])
    return and_(true(), *limits)


def _sure(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """False where it is null."""
    return func.coalesce(condition, false())


@singledispatch
def _condition(node: object, query: _Query) -> ColumnElement[bool]:
    raise TypeError(f"no SQL for {node!r}")


@_condition.register
def _(node: leaf.InClass, query: _Query) -> ColumnElement[bool]:
    return query.has(
        node,
        lambda: select(MemberClass.member_id).where(
            MemberClass.program_id == query.program.id, MemberClass.class_id == node.class_id
        ),
    )


@_condition.register
def _(node: leaf.OnList, query: _Query) -> ColumnElement[bool]:
    return query.has(node, lambda: select(PhoneListMember.member_id).where(PhoneListMember.list_id == node.list_id))


@_condition.register
def _(node: belonging.InTier, query: _Query) -> ColumnElement[bool]:
    return _sure(Member.tier_id == node.tier_id)


@_condition.register
def _(node: belonging.InGroup, query: _Query) -> ColumnElement[bool]:
    return query.has(node, lambda: select(GroupMember.member_id).where(GroupMember.group_id == node.group_id))


@_condition.register
def _(node: belonging.Chose, query: _Query) -> ColumnElement[bool]:
    return query.has(
        node,
        lambda: select(JoinAnswer.member_id).where(
            JoinAnswer.question_id == node.question_id, JoinAnswer.answer == node.choice
        ),
    )


@_condition.register
def _(node: leaf.LastAt, query: _Query) -> ColumnElement[bool]:
    return _sure(Member.last_location_id == node.location_id)


def _bought(query: _Query, node: leaf.Visits | leaf.Spending, measure: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the `measure` of what they bought in the last days is within the limits; it is 0 for who did not buy.

    Sums are compared where they are made, so that only those who pass are joined.
    """
    least = node.least or None
    if least is None and node.most is None:
        return true()
    passes = _between(measure, least, node.most) if least is not None else measure > node.most
    found = query.has(
        node,
        lambda: (
            select(Purchase.member_id)
            .where(
                Purchase.program_id == query.program.id,
                Purchase.at > query.now - timedelta(days=node.days),
                Purchase.at <= query.now,
                Purchase.member_id.is_not(None),
                Purchase.undone_at.is_(None),
            )
            .group_by(Purchase.member_id)
            .having(passes)
        ),
        once=isinstance(node, leaf.Spending),
    )
    return found if least is not None else not_(found)


@_condition.register
def _(node: leaf.Visits, query: _Query) -> ColumnElement[bool]:
    return _bought(query, node, func.count())


@_condition.register
def _(node: leaf.Spending, query: _Query) -> ColumnElement[bool]:
    return _bought(query, node, func.sum(func.coalesce(Purchase.amount_minor, 0)))


@_condition.register
def _(node: leaf.LastVisit, query: _Query) -> ColumnElement[bool]:
    limits = []
    if node.least is not None:
        limits.append(Member.last_visit_at <= query.now - node.least * _A_DAY)
    if node.most is not None:
        limits.append(Member.last_visit_at > query.now - (node.most + 1) * _A_DAY)
    return func.coalesce(and_(*limits), true() if node.never == "too" else false())


@_condition.register
def _(node: leaf.NeverCame, query: _Query) -> ColumnElement[bool]:
    return Member.last_visit_at.is_(None)


@_condition.register
def _(node: leaf.StampsLeft, query: _Query) -> ColumnElement[bool]:
    return _between(query.program.stamps_needed - Member.stamps, node.least, node.most)


@_condition.register
def _(node: leaf.HoldsReward, query: _Query) -> ColumnElement[bool]:
    return Member.rewards > 0


@_condition.register
def _(node: leaf.HoldsCredit, query: _Query) -> ColumnElement[bool]:
    return Member.credit_minor >= max(node.least or 0, 1)


@_condition.register
def _(node: leaf.BirthdayWithin, query: _Query) -> ColumnElement[bool]:
    today = day_of(query.now, query.program.time_zone)
    days = sorted({100 * month + day for month, day in coming(today, node.days)})
    born = 100 * extract("month", Member.birth_date) + extract("day", Member.birth_date)
    return _sure(born.in_(days))


@_condition.register
def _(node: leaf.BornIn, query: _Query) -> ColumnElement[bool]:
    return _sure(extract("month", Member.birth_date) == int(node.month))


@_condition.register
def _(node: leaf.Joined, query: _Query) -> ColumnElement[bool]:
    limits = []
    if node.first is not None:
        limits.append(Member.joined_at >= day_begins(node.first, query.program.time_zone))
    if node.last is not None:
        limits.append(Member.joined_at < day_begins(node.last + _A_DAY, query.program.time_zone))
    return and_(true(), *limits)


@_condition.register
def _(node: leaf.JoinedVia, query: _Query) -> ColumnElement[bool]:
    return Member.via == node.via


@_condition.register
def _(node: leaf.Speaks, query: _Query) -> ColumnElement[bool]:
    return Member.language == node.language


@_condition.register
def _(node: leaf.InWallet, query: _Query) -> ColumnElement[bool]:
    if node.wallet == "apple":
        return query.has("apple", segment_sets.in_apple)
    if node.wallet == "google":
        return query.has("google", segment_sets.in_google)
    anywhere = query.has("wallets", segment_sets.in_any)
    return anywhere if node.wallet == "any" else not_(anywhere)


@_condition.register
def _(node: leaf.WantsOffers, query: _Query) -> ColumnElement[bool]:
    answers = query.rows("offers", segment_sets.newest_answers)
    return _sure(answers.granted)


@_condition.register
def _(node: belonging.Recommends, query: _Query) -> ColumnElement[bool]:
    answers = query.rows("nps", lambda: segment_sets.newest_scores(query.program.id))
    least, most = nps.RANGES[nps.Group(node.group)]
    return _sure(_between(answers.score, least, most))


@_condition.register
def _(node: leaf.Campaigned, query: _Query) -> ColumnElement[bool]:
    got = query.has(("got", node.campaign_id), lambda: segment_sets.got(node.campaign_id).distinct())
    if node.response == "got":
        return got
    answered = query.has(("answered", node.campaign_id), lambda: segment_sets.answered(node.campaign_id))
    return answered if node.response == "answered" else and_(got, not_(answered))
