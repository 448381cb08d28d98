"""Erasing people: what tells who they were goes at once, sums stay, and their cards are voided wherever they are."""

import secrets
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.credit import Credit
from app.db.keeping import ErasedBy, Erasure
from app.db.ledger import Reward, RewardStatus
from app.db.people import Member, MemberCard, MemberStatus
from app.db.programs import Program
from app.i18n import N_
from app.loyalty import card_codes
from app.loyalty.ledger import Kind
from app.services import card_news, erased_traces, purchase_book
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import Refused
from app.services.ledger_book import occasion, write
from app.services.settling import LAPSING, lapse_credit, open_lots, settle

_NOBODY_LENGTH = 16  # of members.phone


class Why(StrEnum):
    """Why staff erased somebody: a choice, because words of their own could tell who it was."""

    ASKED = "asked"
    MISTAKE = "mistake"
    TWICE = "twice"
    OTHER = "other"


WHY_NAMES = {
    Why.ASKED: N_("The customer asked for it"),
    Why.MISTAKE: N_("They never meant to join, or the number was wrong"),
    Why.TWICE: N_("The same person is a member twice"),
    Why.OTHER: N_("Another reason"),
}


def erase(ctx: Context, actor: Actor, member_id: UUID, by: ErasedBy, why: str = "") -> bool:
    """Erase a member of the actor's programme. False when they were erased already.

    Their open stamps, rewards, bonus and credit lapse, so that the ledger's sums stay those of the balances. Messages
    that wait are cancelled, and wallets are told that the card is void. Raises Refused: member-not-found,
    unknown-choice.
    """
    if by is ErasedBy.STAFF and why not in set(Why):
        raise Refused("unknown-choice", N_("Please choose one from the list."), field="why")
    now = clock.now()
    with ctx.sessions.begin() as session:
        member = _locked(session, actor.program_id, member_id)
        if member.status is MemberStatus.ERASED:
            return False
        program = session.get_one(Program, actor.program_id)
        _lapse_all(session, member, now)
        nobody = f"!{member.id.hex[1 - _NOBODY_LENGTH :]}"
        erased_traces.remove(session, program.id, member.id, member.phone, nobody, now)
        _empty(ctx, session, member, nobody, now)
        card_news.announce(session, program, member, now, silent=True)
        session.add(Erasure(id=uuid7(), program_id=program.id, member_id=member.id, by=by, at=now))
        details = {"why": why} if why else {}
        record(session, actor, "member.erased", member.id, by=by.value, **details)
        return True


def _locked(session: Session, program_id: UUID, member_id: UUID) -> Member:
    """The member, locked after the number and the campaigns' rows, as everybody locks them. Raises Refused."""
    own = (Member.id == member_id, Member.program_id == program_id)
    phone = session.scalars(select(Member.phone).where(*own)).one_or_none()
    if phone is None:
        raise Refused("member-not-found", N_("No member has this card or number."), status=404)
    purchase_book.lock_phone(session, program_id, phone)
    erased_traces.lock_recipients(session, member_id)
    # The whole locks, of the card's row as well: what tells who it is in them are keys.
    query = select(Member).where(*own).with_for_update(of=Member).execution_options(populate_existing=True)
    member = session.scalars(query).unique().one()
    session.execute(select(MemberCard.id).where(MemberCard.member_id == member_id).with_for_update())
    return member


def _lapse_all(session: Session, member: Member, now: datetime) -> None:
    """Close what the member has, as if its time were over."""
    act = occasion(Actor(member.program_id), now)
    for (unit, stamp_card_id), left in open_lots(session, member.id).items():
        for lot in left:
            write(session, member, act, unit, Kind.EXPIRY, -lot.left, lot_id=lot.entry_id, stamp_card_id=stamp_card_id)
    open_credit = (Credit.member_id == member.id, Credit.status.in_(LAPSING))
    for credit in session.scalars(
        select(Credit)
        .where(*open_credit)
        .order_by(Credit.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ):
        lapse_credit(session, member, act, credit)
    # Settled like those whose time is over, so that a coupon's own pass in a wallet is voided as well.
    session.execute(
        update(Reward)
        .where(Reward.member_id == member.id, Reward.status == RewardStatus.ISSUED)
        .values(expires_at=now)
        .execution_options(synchronize_session="fetch")
    )
    member.next_expiry_at = now
    settle(session, member, now)


def _empty(ctx: Context, session: Session, member: Member, nobody: str, now: datetime) -> None:
    """Take all that tells who it is out of the member's row and the card's. Neither its link nor its QR code opens
    anything from now on."""
    member.phone, member.name, member.email, member.city, member.birth_date = nobody, "", "", "", None
    member.status, member.left_at = MemberStatus.ERASED, member.left_at or now
    member.double_until = member.next_expiry_at = member.last_visit_at = member.last_location_id = None
    member.tier_id = member.tier_since = member.tier_until = member.tier_look_at = None
    card = member.card
    card.code = card_codes.code_from(secrets.token_bytes(10))
    # The generation stays: by it the phones prove that they may fetch the voided card.
    card.link_hash = ctx.keyed_hash("card-link", secrets.token_urlsafe())
    card.news = ""
    session.flush()
