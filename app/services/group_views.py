"""Groups as plain values, with their prices. A few queries, however many members."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, select
from sqlalchemy.orm import Session

from app.db.lookup import Compiled
from app.db.tiers import GroupMember, GroupPrice, MemberGroup
from app.services.tier_views import GroupView, PriceView

_GROUPS = Compiled(
    select(GroupMember.member_id, MemberGroup.id, MemberGroup.name, MemberGroup.details, MemberGroup.on_card)
    .join(MemberGroup, MemberGroup.id == GroupMember.group_id)
    .where(GroupMember.member_id == any_(bindparam("member_ids", type_=ARRAY(Uuid))))
    .order_by(MemberGroup.name)
)


def groups_of(session: Session, member_ids: Collection[UUID]) -> dict[UUID, tuple[GroupView, ...]]:
    """The groups of these members, by name, with their prices; nobody is there who is in none."""
    if not member_ids:
        return {}
    rows = _GROUPS.within(session, member_ids=list(member_ids))
    prices = prices_of(session, {row[1] for row in rows})
    found: dict[UUID, tuple[GroupView, ...]] = {}
    for member_id, group_id, name, details, on_card in rows:
        view = GroupView(group_id, name, details, on_card, tuple(prices.get(group_id, ())))
        found[member_id] = (*found.get(member_id, ()), view)
    return found


def prices_of(session: Session, group_ids: Collection[UUID]) -> dict[UUID, list[PriceView]]:
    found: dict[UUID, list[PriceView]] = {}
    if group_ids:
        own_prices = select(GroupPrice).where(GroupPrice.group_id.in_(group_ids)).order_by(GroupPrice.product)
        for row in session.scalars(own_prices):
            found.setdefault(row.group_id, []).append(PriceView(row.id, row.product, row.price_minor, row.off_bp))
    return found


def group_view(row: MemberGroup, prices: Mapping[UUID, Sequence[PriceView]]) -> GroupView:
    return GroupView(row.id, row.name, row.details, row.on_card, tuple(prices.get(row.id, ())))
