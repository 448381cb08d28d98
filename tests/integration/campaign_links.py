"""Recipients of a campaign, as the engine writes them, for tests of what their links do."""

from datetime import timedelta

from app import clock
from app.db.campaigns import Campaign, CampaignRecipient, CampaignRun, RecipientState, RunPhase
from app.services.views import MemberView
from tests.factories import Shop


def run_of(shop: Shop, link: str = "card", name: str = "Autumn") -> CampaignRun:
    """A run that is being sent, whose links lead to `link`."""
    now = clock.now()
    with shop.ctx.sessions.begin() as session:
        campaign = Campaign(program_id=shop.program.id, name=name, link=link, created_at=now, changed_at=now)
        session.add(campaign)
        session.flush()
        run = CampaignRun(
            program_id=shop.program.id,
            campaign_id=campaign.id,
            phase=RunPhase.SENDING,
            content={"link": link, "texts": {"a": {"en": "Come in: {link} {stop}"}}, "name": name},
            due_at=now,
        )
        session.add(run)
    return run


def recipient(shop: Shop, run: CampaignRun, member: MemberView, token: str = "") -> CampaignRecipient:
    """The member got this run's message. The token is made from the phone number's last digits, unless it is given."""
    now = clock.now()
    row = CampaignRecipient(
        program_id=shop.program.id,
        campaign_id=run.campaign_id,
        run_id=run.id,
        member_id=member.id,
        phone_check=0,
        occasion="once",
        token=token or f"Token_{member.phone[-4:]}",
        state=RecipientState.HANDED,
        due_at=now - timedelta(minutes=1),
        handed_at=now,
    )
    with shop.ctx.sessions.begin() as session:
        session.add(row)
    return row
