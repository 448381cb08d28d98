"""Tiers as an owner types them, and purchases that lead to them."""

from datetime import datetime
from uuid import UUID

from app.db.people import Member
from app.services import purchases, tier_rules
from app.services.purchases import PurchaseRequest
from app.services.tier_views import TierView
from tests.factories import Shop

FORM = {
    "active": "on",
    "basis": "spending",
    "period": "rolling",
    "days": "365",
    "grace_days": "30",
    "name-0": "Bronze",
    "needs-0": "10",
    "color-0": "#8c5a2b",
    "name-1": "Silver",
    "needs-1": "50",
    "color-1": "#c0c0c0",
    "benefits-1": "Free milk",
    "name-2": "Gold",
    "needs-2": "100",
    "color-2": "#d4af37",
}


def set_tiers(shop: Shop, **changed: str) -> list[TierView]:
    """Bronze from €10, Silver from €50, Gold from €100, in 365 days with 30 of grace; the lowest first. A form with
    tiers that are there already names them."""
    known = {tier.name: tier for tier in tier_rules.tiers(shop.ctx, shop.program.id)}
    form = FORM | changed
    ids = {f"id-{place}": str(known[name].id) for place in range(6) if (name := form.get(f"name-{place}", "")) in known}
    tier_rules.save(shop.ctx, shop.owner, ids | form)
    return tier_rules.tiers(shop.ctx, shop.program.id)


def buy(shop: Shop, member_id: UUID, amount_minor: int, at: datetime | None = None) -> UUID:
    """A purchase of the member; its id."""
    asked = PurchaseRequest(amount_minor, member_id=member_id, at=at)
    answer, _ = purchases.record(shop.ctx, shop.api, asked)
    return UUID(str(answer["purchase_id"]))


def tier_of(shop: Shop, member_id: UUID) -> str:
    """The name of the tier that the member's row has; '' for none."""
    names = {tier.id: tier.name for tier in tier_rules.tiers(shop.ctx, shop.program.id)}
    with shop.ctx.sessions() as session:
        tier_id = session.get_one(Member, member_id).tier_id
    return names[tier_id] if tier_id else ""
