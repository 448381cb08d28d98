"""A member's rows: made for a number that is nobody's yet, locked for one that is somebody's."""

import secrets
from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.people import Member, MemberCard, MemberStatus
from app.db.programs import Program
from app.loyalty import card_codes
from app.services.context import Context


def insert_or_lock(
    ctx: Context, session: Session, program: Program, values: Mapping[str, object]
) -> tuple[Member, bool]:
    """The member with the phone number in `values`, their row locked, and whether they are new."""
    now = clock.now()
    member_id = session.execute(
        insert(Member)
        .values(
            id=uuid7(),
            program_id=program.id,
            status=MemberStatus.ACTIVE,
            joined_at=now,
            stamps=0,
            rewards=0,
            **values,
        )
        .on_conflict_do_nothing(index_elements=["program_id", "phone"])
        .returning(Member.id)
    ).scalar()
    if member_id is not None:
        card_id = uuid7()
        session.add(
            MemberCard(
                id=card_id,
                member_id=member_id,
                code=card_codes.code_from(secrets.token_bytes(10)),
                link_generation=1,
                link_hash=ctx.keyed_hash("card-link", ctx.derived_token("card-link", card_id)),
                version=0,
                changed_at=now.replace(microsecond=0),
            )
        )
        session.flush()
    query = select(Member).where(Member.program_id == program.id, Member.phone == values["phone"])
    return session.scalars(query.with_for_update(of=Member, key_share=True)).unique().one(), member_id is not None
