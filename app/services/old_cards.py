"""Old cards: paper and magnetic stripe cards from before Leima, which stay usable at the till."""

import re
import unicodedata
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import clock
from app.db.people import Member
from app.db.programs import Program
from app.db.register import OldCard
from app.i18n import N_
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import Refused
from app.services.members import fetch
from sms.digits import ascii_digits

LONGEST = 40  # as its column
MOST_PER_MEMBER = 20

# A stripe reader types track 1 as %B1234^NAME^…? and track 2 as ;1234=…? (ISO/IEC 7813). Readers are made for an
# American keyboard: under the Finnish, Russian and Persian layouts the same keys give other signs.
_TRACK_2 = re.compile(r";([0-9][0-9 .-]*)|^[öжک]([0-9]+)([^0-9a-z].*)?[_,؟]$", re.IGNORECASE | re.DOTALL)
_TRACK_1 = re.compile(r"[%٪](?:B(?=[0-9 ]+[\^&:×]))?([^\^&:×?_,؟]+)", re.IGNORECASE)
_KEPT = ("Lu", "Lo", "Nd")


def normal(text: str) -> str:
    """The card number in what a scanner, a stripe reader or a person typed: digits and upper-case letters.

    Digits of any script are the same; spaces, dashes and dots do not count. Empty when there is no number in it: a
    number has a digit, and LONGEST characters at most.
    """
    flat = ascii_digits(unicodedata.normalize("NFKC", text)).strip()
    if track := _track(flat):
        flat = track
    upper = ascii_digits(unicodedata.normalize("NFKC", flat.upper()))
    kept = "".join(char for char in upper if unicodedata.category(char) in _KEPT)
    return kept if len(kept) <= LONGEST and any(char.isdecimal() for char in kept) else ""


def _track(typed: str) -> str:
    """The card's number on a magnetic stripe; empty when no stripe was read."""
    found = _TRACK_2.search(typed) or _TRACK_1.match(typed) if typed[:1] in "%٪" else _TRACK_2.match(typed)
    return next((group for group in found.groups() if group), "") if found else ""


def find(session: Session, program_id: UUID, text: str) -> UUID | None:
    """The member who holds the old card with this number, or None."""
    number = normal(text)
    if not number:
        return None
    return session.scalars(
        select(OldCard.member_id).where(OldCard.program_id == program_id, OldCard.number == number)
    ).one_or_none()


def of_member(ctx: Context, actor: Actor, member_id: UUID) -> list[str]:
    """The numbers of the member's old cards, the oldest first."""
    with ctx.sessions() as session:
        return list(
            session.scalars(
                select(OldCard.number)
                .where(OldCard.program_id == actor.program_id, OldCard.member_id == member_id)
                .order_by(OldCard.created_at, OldCard.number)
            )
        )


def add(ctx: Context, actor: Actor, member_id: UUID, text: str) -> str:
    """Have this old card be the member's; return its number as it is kept. Saying it twice does no harm.

    Raises Refused for what is no number, and for a card that somebody else holds.
    """
    number = normal(text)
    if not number:
        raise Refused(
            "invalid-old-card",
            N_("Write the number of the old card: it has a digit, and 40 characters at most."),
            field="old_card",
        )
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        member = fetch(session, actor, Member.id == member_id, lock=True)
        held = select(OldCard.number).where(OldCard.member_id == member.id, OldCard.number != number)
        if len(session.scalars(held).all()) >= MOST_PER_MEMBER:
            raise Refused(
                "too-many-old-cards",
                N_("This member has %(most)s old cards already. Remove one first."),
                {"most": MOST_PER_MEMBER},
                field="old_card",
            )
        values = {"program_id": program.id, "number": number, "member_id": member.id, "created_at": clock.now()}
        made = insert(OldCard).values(values).on_conflict_do_nothing().returning(OldCard.number)
        if session.execute(made).scalar() is not None:
            record(session, actor, "old-card.added", member.id)
        elif find(session, program.id, number) != member.id:
            raise Refused("old-card-taken", N_("Another member holds the old card with this number."), field="old_card")
    return number


def remove(ctx: Context, actor: Actor, member_id: UUID, text: str) -> None:
    """The old card opens nothing any more. Saying it twice is the same as saying it once."""
    with ctx.sessions.begin() as session:
        gone = session.execute(
            delete(OldCard)
            .where(
                OldCard.program_id == actor.program_id,
                OldCard.member_id == member_id,
                OldCard.number == normal(text),
            )
            .returning(OldCard.number)
        ).scalar()
        if gone is not None:
            record(session, actor, "old-card.removed", member_id)
