"""All tables, so that whoever needs the whole schema imports one thing."""

from app.db import campaigns, credit, delivery, guard, ledger, messages, people, programs, purchases, register
from app.db.base import Base

__all__ = [
    "campaigns",
    "credit",
    "delivery",
    "guard",
    "ledger",
    "messages",
    "metadata",
    "people",
    "programs",
    "purchases",
    "register",
]

metadata = Base.metadata
