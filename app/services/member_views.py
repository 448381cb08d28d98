"""Members as plain values, with what they can use now. A few queries, however many members."""

from dataclasses import replace
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.db.ledger import Reward, RewardStatus
from app.db.people import Member
from app.db.programs import Program
from app.services import stamp_rules, tiering
from app.services.credit_views import open_credits
from app.services.group_views import groups_of
from app.services.views import CreditView, MemberView, RewardView, StampsView


def view(session: Session, program: Program, member: Member) -> MemberView:
    """The member as a plain value, with the rewards and credits that can be used."""
    return views(session, program, [member])[0]


def views(session: Session, program: Program, members: list[Member]) -> list[MemberView]:
    rewards: dict[UUID, list[RewardView]] = {member.id: [] for member in members}
    for row in session.scalars(
        select(Reward)
        .where(Reward.member_id.in_(list(rewards)), Reward.status == RewardStatus.ISSUED)
        .order_by(Reward.issued_at, Reward.id)
    ):
        rewards[row.member_id].append(reward_view(row))
    credits = open_credits(session, [member.id for member in members if member.credit_minor])
    stamps = stamp_rules.counts(session, program, [member.id for member in members])
    tiers = tiering.standings(session, program, members, clock.now())
    groups = groups_of(session, list(rewards))
    views = [
        _view(program, member, tuple(rewards[member.id]), credits.get(member.id, ()), stamps.get(member.id, ()))
        for member in members
    ]
    return [replace(view, tier=tiers.get(view.id), groups=groups.get(view.id, ())) for view in views]


def reward_view(row: Reward) -> RewardView:
    return RewardView(
        row.id,
        row.name,
        row.status,
        row.issued_at,
        row.expires_at,
        row.value,
        row.value_amount,
        row.valid_from,
        tuple(row.location_ids),
        tuple(row.weekdays),
        row.pass_version > 0,
    )


def _view(
    program: Program,
    member: Member,
    rewards: tuple[RewardView, ...],
    credits: tuple[CreditView, ...],
    further_stamps: tuple[StampsView, ...],
) -> MemberView:
    return MemberView(
        id=member.id,
        program_id=member.program_id,
        card_id=member.card.id,
        card_code=member.card.code,
        card_version=member.card.version,
        card_changed_at=member.card.changed_at,
        status=member.status,
        phone=member.phone,
        name=member.name,
        email=member.email,
        birth_date=member.birth_date,
        city=member.city,
        language=member.language,
        via=member.via,
        joined_at=member.joined_at,
        stamps=member.stamps,
        stamps_needed=program.stamps_needed,
        rewards=rewards,
        news=member.card.news,
        credits=credits,
        link_generation=member.card.link_generation,
        double_until=member.double_until,
        stamp_card_name=program.stamp_card_name,
        further_stamps=further_stamps,
        visits=member.visits,
        bonus=member.bonus,
    )
