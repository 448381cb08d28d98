"""Messages of campaigns that wait at cards in Google Wallet, until Google has been told."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select, tuple_, update

from app.db.delivery import GoogleObject
from app.db.people import Member, MemberCard
from app.db.programs import Program
from app.services.context import Context
from passes.google.objects import Message


def waiting(ctx: Context, card_ids: Collection[UUID]) -> dict[UUID, Message]:
    """Card → the message that Google has not been told, of those that have one."""
    with ctx.sessions() as session:
        rows = session.execute(
            select(GoogleObject.card_id, GoogleObject.message_id, Program.name, GoogleObject.message)
            .join(MemberCard, MemberCard.id == GoogleObject.card_id)
            .join(Member, Member.id == MemberCard.member_id)
            .join(Program, Program.id == Member.program_id)
            .where(GoogleObject.card_id.in_(card_ids), GoogleObject.message != "")
        )
        return {card_id: Message(name, header, body) for card_id, name, header, body in rows}


def told(ctx: Context, messages: Sequence[tuple[UUID, Message]]) -> None:
    """Google has these, or refuses them for good. A newer one that came meanwhile still waits."""
    if not messages:
        return
    gone = sorted((card_id, message.message_id) for card_id, message in messages)
    with ctx.sessions.begin() as session:
        session.execute(
            update(GoogleObject)
            .where(tuple_(GoogleObject.card_id, GoogleObject.message_id).in_(gone))
            .values(message="")
            .execution_options(synchronize_session=False)
        )
