"""All tables, so that whoever needs the whole schema imports one thing."""

from app.db import (
    bonus,
    campaigns,
    credit,
    delivery,
    guard,
    joining,
    keeping,
    ledger,
    messages,
    nps,
    people,
    programs,
    purchases,
    referrals,
    register,
    rewards,
    stamps,
    tiers,
    visits,
)
from app.db.base import Base

__all__ = [
    "bonus",
    "campaigns",
    "credit",
    "delivery",
    "guard",
    "joining",
    "keeping",
    "ledger",
    "messages",
    "metadata",
    "nps",
    "people",
    "programs",
    "purchases",
    "referrals",
    "register",
    "rewards",
    "stamps",
    "tiers",
    "visits",
]

metadata = Base.metadata
