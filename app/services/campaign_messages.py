"""A campaign's message that goes its own way after it was begun with the others: looked for at the provider, or shown
to staff. Its words are made anew from what the run has pinned."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.db.campaigns import Campaign, CampaignRecipient, CampaignRun, CampaignState
from app.db.messages import SmsMessage
from app.db.programs import Program
from app.services import campaign_benefits, campaign_rendering, sms_texts
from app.services.context import Context

# How often a message of a campaign that is paused is looked at.
LOOK_AGAIN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether the campaign goes on. `held_until`: it is paused."""

    stopped: bool
    held_until: datetime | None = None


def params(run_id: UUID, number: int) -> dict[str, object]:
    """What a message keeps of whom it belongs to."""
    return {"run": str(run_id), "recipient": number}


def body(ctx: Context, session: Session, program: Program, message: SmsMessage, *, hide_link: bool = False) -> str:
    """The text as it is sent, or, with `hide_link`, as staff may read it. Empty when nobody can tell any more."""
    run = session.get(CampaignRun, UUID(str(message.params["run"])))
    recipient = session.get(CampaignRecipient, message.params["recipient"])
    if run is None or recipient is None or message.member_id is None:
        return ""
    facts = campaign_rendering.facts_of(ctx, session, program, [message.member_id], clock.now())
    code = campaign_benefits.codes(ctx, session, run, [recipient.number]).get(recipient.number, "")
    return campaign_rendering.body(
        run.content,
        replace(facts[message.member_id], code=code),
        recipient.token,
        recipient.variant,
        link=sms_texts.HIDDEN_LINK if hide_link else "",
        hide_code=hide_link,
    )


def standing(session: Session, message: SmsMessage, now: datetime) -> Standing:
    """Whether a message that was certainly not taken may be sent after all."""
    state = session.scalar(
        select(Campaign.state)
        .join(CampaignRun, CampaignRun.campaign_id == Campaign.id)
        .where(CampaignRun.id == UUID(str(message.params["run"])))
    )
    return Standing(
        stopped=state is None or state is CampaignState.STOPPED,
        held_until=now + LOOK_AGAIN if state is CampaignState.PAUSED else None,
    )
