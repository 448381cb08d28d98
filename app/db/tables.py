"""All tables, so that whoever needs the whole schema imports one thing."""

from app.db import delivery, ledger, messages, people, programs
from app.db.base import Base

__all__ = ["delivery", "ledger", "messages", "metadata", "people", "programs"]

metadata = Base.metadata
