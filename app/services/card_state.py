"""All that Apple's web service needs of a card, in one read: whose it is, which version, and what it shows."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, or_, select

from app.db.lookup import Lookup
from app.db.people import Member, MemberCard, MemberStatus
from app.db.programs import Program
from app.db.stamps import StampCard
from app.db.tiers import GroupMember, MemberGroup, TierRules
from app.services.context import Context
from app.services.views import MemberView


@dataclass(frozen=True, slots=True)
class CardState:
    """What the web service must know of a card before it answers.

    `member` is None for one with rewards or credit to use, in a group that is shown, or of a programme with tiers or
    further stamp cards: they are not among what is read here.
    """

    card_id: UUID
    member_id: UUID
    program_id: UUID
    pass_type: str
    program_version: int
    version: int
    changed_at: datetime
    next_expiry_at: datetime | None
    link_generation: int
    status: MemberStatus
    member: MemberView | None


_MORE = or_(
    select(StampCard.id).where(StampCard.program_id == Member.program_id, StampCard.active).exists(),
    select(TierRules.program_id).where(TierRules.program_id == Member.program_id, TierRules.active).exists(),
    select(GroupMember.group_id)
    .join(MemberGroup, MemberGroup.id == GroupMember.group_id)
    .where(GroupMember.member_id == Member.id, MemberGroup.on_card)
    .exists(),
)
STATE = Lookup(
    select(
        MemberCard.id,
        Member.id,
        Program.id,
        Program.pass_type_identifier,
        Program.version,
        MemberCard.version,
        MemberCard.changed_at,
        Member.next_expiry_at,
        MemberCard.link_generation,
        Member.rewards,
        Member.credit_minor,
        MemberCard.code,
        MemberCard.news,
        Member.status,
        Member.phone,
        Member.name,
        Member.email,
        Member.birth_date,
        Member.city,
        Member.language,
        Member.via,
        Member.joined_at,
        Member.stamps,
        Program.stamps_needed,
        Member.visits,
        Member.bonus,
        _MORE,
    )
    .join(Member, Member.id == MemberCard.member_id)
    .join(Program, Program.id == Member.program_id)
    .where(MemberCard.id == bindparam("card_id"))
)


def find(ctx: Context, card_id: UUID) -> CardState | None:
    """The card as it is now; None when there is none."""
    row = STATE.first(ctx.engine, card_id=card_id)
    if row is None:
        return None
    _, member_id, program_id, pass_type, program_version, version, changed_at, next_expiry_at, generation, *shown = row
    rewards, credit_minor, code, news, status, phone, name, email, birth_date, city, language, via, *counts = shown
    joined_at, stamps, stamps_needed, visits, bonus, more = counts
    member = None
    if not (rewards or credit_minor or more):
        member = MemberView(
            id=member_id,
            program_id=program_id,
            card_id=card_id,
            card_code=code,
            card_version=version,
            card_changed_at=changed_at,
            status=MemberStatus(status),
            phone=phone,
            name=name,
            email=email,
            birth_date=birth_date,
            city=city,
            language=language,
            via=via,
            joined_at=joined_at,
            stamps=stamps,
            stamps_needed=stamps_needed,
            rewards=(),
            news=news,
            link_generation=generation,
            visits=visits,
            bonus=bonus,
        )
    return CardState(
        card_id,
        member_id,
        program_id,
        pass_type,
        program_version,
        version,
        changed_at,
        next_expiry_at,
        generation,
        MemberStatus(status),
        member,
    )
