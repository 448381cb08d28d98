"""For whom a campaign is: conditions of its own, a saved segment, a list of phone numbers, or everybody."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select

from app.db.campaigns import PhoneList
from app.db.people import Member, MemberStatus
from app.i18n import N_
from app.loyalty.segment_facts import Leaf
from app.loyalty.segment_leaves import OnList
from app.loyalty.segments import EVERYONE, Group
from app.services import segments
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused

ALL, HERE = "everyone", "conditions"


@dataclass(frozen=True, slots=True)
class Named:
    """A segment or a list that can be chosen: `value` is what the form holds."""

    value: str
    name: str
    tree: Group


@dataclass(frozen=True, slots=True)
class Known:
    """What can be chosen instead of conditions."""

    segments: list[Named]
    lists: list[Named]

    def find(self, value: str) -> Group | None:
        return next((one.tree for one in (*self.segments, *self.lists) if one.value == value), None)

    def value_of(self, tree: Group) -> str:
        """How the form names this tree."""
        if tree == EVERYONE:
            return ALL
        return next((one.value for one in (*self.segments, *self.lists) if one.tree == tree), HERE)


def known(ctx: Context, actor: Actor) -> Known:
    """The programme's saved segments and lists."""
    saved = [Named(f"segment:{view.id}", view.name, view.tree) for view in segments.every(ctx, actor)]
    with ctx.sessions() as session:
        rows = session.execute(
            select(PhoneList.id, PhoneList.name)
            .where(PhoneList.program_id == actor.program_id)
            .order_by(PhoneList.created_at.desc())
        )
        return Known(saved, [Named(f"list:{row.id}", row.name, _on(row.id)) for row in rows])


def chosen(ctx: Context, actor: Actor, form: Mapping[str, str]) -> Group:
    """The members that a campaign's form is for. Raises InvalidForm."""
    who = form.get("who", HERE)
    if who == ALL:
        return EVERYONE
    if who == HERE:
        return segments.from_form(ctx, actor, form)
    found = known(ctx, actor).find(who)
    if found is None:
        words = N_("This segment or list is gone. Choose another one.")
        raise InvalidForm({"who": Refused("unknown-segment", words, field="who")})
    return found


def languages(ctx: Context, actor: Actor) -> dict[str, int]:
    """How many active members have each language, the most first."""
    with ctx.sessions() as session:
        rows = session.execute(
            select(Member.language, func.count().label("members"))
            .where(Member.program_id == actor.program_id, Member.status == MemberStatus.ACTIVE)
            .group_by(Member.language)
            .order_by(func.count().desc(), Member.language)
        )
        return {row.language: row.members for row in rows}


def _on(list_id: UUID) -> Group:
    listed: Leaf = OnList(list_id)
    return Group(of=(listed,))
