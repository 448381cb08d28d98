"""Personal short links: where a token leads to, and how often it was opened.

A link leads to the member's card, to the question how likely they are to recommend the shop, or to the address that is
stored with its run: nothing that whoever opens it sends along decides where to.
"""

import re
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import bindparam, func, literal_column, or_, select
from sqlalchemy.orm import Session

from app.db.campaigns import CampaignRecipient, CampaignRun, ClickKind, LinkClick
from app.db.lookup import Lookup
from app.db.people import MemberCard
from app.i18n import N_
from app.services.context import Context
from app.services.errors import Refused

TO_CARD = "card"
TO_SURVEY = "survey"
_TOKEN = re.compile(r"[0-9A-Za-z_-]{10}")
_FIND = Lookup(
    select(
        CampaignRecipient.number,
        CampaignRun.content.op("->>")(literal_column("'link'")),
        MemberCard.id,
        MemberCard.link_generation,
        MemberCard.member_id,
        or_(MemberCard.renewed_at.is_(None), CampaignRecipient.handed_at > MemberCard.renewed_at),
    )
    .join(CampaignRun, CampaignRun.id == CampaignRecipient.run_id)
    .join(MemberCard, MemberCard.member_id == CampaignRecipient.member_id)
    .where(CampaignRecipient.token == bindparam("token"))
)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a link leads: an https address, or the member's card, whose page `card_token` opens, or, with
    `surveyed_id`, this member's question."""

    recipient_number: int
    address: str
    card_token: str
    surveyed_id: UUID | None = None


def find(ctx: Context, token: str) -> Target:
    """Where this token leads. Raises Refused (404) for one that leads nowhere, OperationalError without a database."""
    row = _FIND.first(ctx.engine, token=token) if _TOKEN.fullmatch(token) else None
    number, link, card_id, generation, member_id, is_current = row or (0, "", None, 0, None, False)
    if link == TO_CARD and card_id is not None and is_current:
        return Target(number, "", ctx.derived_token("card-link", card_id, generation))
    if link == TO_SURVEY:
        return Target(number, "", "", member_id)
    if link and link.startswith("https://"):
        return Target(number, link, "")
    raise unknown_link()


def unknown_link() -> Refused:
    return Refused(
        "short-link-not-found",
        N_("This link leads nowhere. Look whether all of it was copied from the message, or ask the shop."),
        status=404,
    )


@dataclass(frozen=True, slots=True)
class Openings:
    """How many recipients opened their link, and how often all in all."""

    unique: int = 0
    total: int = 0


def openings(session: Session, run_id: UUID) -> dict[ClickKind, Openings]:
    """How a run's links were opened, by kind: people's clicks apart from previews and scanners."""
    rows = session.execute(
        select(LinkClick.kind, func.count(LinkClick.recipient_number.distinct()), func.count())
        .join(CampaignRecipient, CampaignRecipient.number == LinkClick.recipient_number)
        .where(CampaignRecipient.run_id == run_id)
        .group_by(LinkClick.kind)
    )
    found = {kind: Openings(unique, total) for kind, unique, total in rows}
    return {kind: found.get(kind, Openings()) for kind in ClickKind}
