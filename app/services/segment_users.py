"""Which segments and campaigns ask for something that is to be removed."""

from uuid import UUID

from sqlalchemy import cast, func, select
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH
from sqlalchemy.orm import Session

from app.db.campaigns import Campaign, Segment


def user(session: Session, program_id: UUID, field: str, thing_id: UUID) -> str | None:
    """The name of a segment or campaign with a condition whose `field` (one of ours, such as tier_id) is this thing."""
    path, names = cast(f"$.** ? (@.{field} == $thing)", JSONPATH), cast({"thing": str(thing_id)}, JSONB)
    for kind in (Segment, Campaign):
        asks = func.jsonb_path_exists(kind.tree, path, names)
        found = session.scalars(select(kind.name).where(kind.program_id == program_id, asks).limit(1)).first()
        if found is not None:
            return found
    return None
