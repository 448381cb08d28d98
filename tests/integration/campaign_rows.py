"""A campaign's run that sends, made by hand: what tests of its wallet messages and benefits begin with."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func, select
from uuid_utils.compat import uuid7

from app import clock
from app.db.campaigns import (
    Benefit,
    Campaign,
    CampaignRecipient,
    CampaignRun,
    CampaignState,
    Medium,
    RecipientState,
    RunPhase,
)
from app.db.people import Role
from app.services import campaign_planning, campaign_sending
from app.services.context import Context
from app.services.views import MemberView
from tests.factories import Shop

# A Wednesday in summer, far from the quiet hours: 13:00 in Helsinki.
NOON = datetime(2027, 6, 16, 10, tzinfo=UTC)
WANTS_OFFERS = {"consents": {"terms": "I agree.", "sms_marketing": "Offers, please."}}


def sending(
    ctx: Context,
    shop: Shop,
    to: Sequence[MemberView],
    text: str | dict[str, str] = "Buns today!",
    medium: Medium = Medium.SMS,
    benefit: Benefit = Benefit.NONE,
    minor: int = 0,
    name: str = "",
    days: int = 14,
    kind: UUID | None = None,
    held_out: Sequence[MemberView] = (),
) -> UUID:
    """The id of a run that has these recipients planned."""
    now = clock.now()
    texts = {"a": text if isinstance(text, dict) else {"en": text}}
    row = Campaign(
        id=uuid7(),
        program_id=shop.program.id,
        name="Summer",
        state=CampaignState.RUNNING,
        tree={"kind": "all", "of": []},
        medium=medium,
        texts=texts,
        benefit=benefit,
        benefit_minor=minor,
        benefit_name=name,
        benefit_days=days,
        benefit_type_id=kind,
        staff_id=shop.actor(Role.MARKETER).staff_id,
        created_at=now,
        changed_at=now,
    )
    with ctx.sessions.begin() as session:
        session.add(row)
        session.flush()
        run = CampaignRun(
            id=uuid7(),
            program_id=shop.program.id,
            campaign_id=row.id,
            phase=RunPhase.SENDING,
            content=campaign_planning.content_of(row),
            due_at=now,
            started_at=now,
        )
        session.add(run)
        for place, member in enumerate([*to, *held_out]):
            session.add(
                CampaignRecipient(
                    program_id=shop.program.id,
                    campaign_id=row.id,
                    run_id=run.id,
                    member_id=member.id,
                    phone_check=session.scalar(select(func.hashtextextended(member.phone, 0))),
                    occasion="once",
                    token=f"t{run.id.hex[-6:]}{place:03}",
                    medium=Medium.SMS if medium is Medium.SMS else Medium.WALLET,
                    state=RecipientState.HOLDOUT if member in held_out else RecipientState.PLANNED,
                    due_at=now,
                )
            )
            session.flush()
        return run.id


def handed(ctx: Context, run_id: UUID) -> dict[str, str]:
    """Claim what is due, and return the SMS: phone → text."""
    messages = campaign_sending.claim(ctx, run_id, 100).messages
    return {one.outgoing.to: one.outgoing.body for one in messages}


def recipient(ctx: Context, run_id: UUID, member: MemberView) -> CampaignRecipient:
    with ctx.sessions() as session:
        own = (CampaignRecipient.run_id == run_id, CampaignRecipient.member_id == member.id)
        return session.scalars(select(CampaignRecipient).where(*own)).one()
