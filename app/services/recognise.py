"""What was put into the till's one box: a card, a coupon, an old card's number, a phone number, or a credit's code.

Everything is looked up but the credit code: whether that is right is only told where wrong tries are counted.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from app.db.people import Member, MemberCard
from app.db.programs import Program
from app.i18n import N_
from app.loyalty import card_codes, coupon_codes
from app.services import coupons, members, old_cards, spending_proofs
from app.services.context import Actor, Context
from app.services.errors import Refused
from app.services.views import MemberView
from sms import codes
from sms.phones import PhoneError, normalise

_PHONE_ONLY = "+"
_CARD_ONLY = "#"
_STRIPE = (";", "%")  # how a stripe reader's text begins
_LONGEST = 200  # both tracks of a stripe have 118 characters
_SHORTEST_PROOF = 6  # digits and letters of an old card's number that is not just guessed


class What(StrEnum):
    CARD = "card"
    OLD_CARD = "old_card"
    PHONE = "phone"
    CREDIT_CODE = "credit_code"
    COUPON = "coupon"  # a reward's own pass


@dataclass(frozen=True, slots=True)
class Recognised:
    """Who or what it is. A card comes with a proof that lets its member spend, a coupon with one for its own reward;
    a phone number does not.

    `code` are the seven digits when the text can be a credit code. An old card or, in a country with numbers that
    short, a phone can have the same digits: then there are a member and a code. `reward_id` is a coupon's.
    """

    what: What
    member: MemberView | None = None
    proof: str = ""
    code: str = ""
    reward_id: UUID | None = None


def recognise(ctx: Context, actor: Actor, text: str) -> Recognised:
    """What the text is, in this order: a coupon's own pass, a Leima card, an old card, a phone number, a credit code.

    A short old card's number gives no proof.
    A + before the digits says that they are a phone number, a # that they are an old card's.
    Raises Refused: member-not-found, unreadable-code, two-members (one's old card has another's phone number).
    """
    text = text.strip()[:_LONGEST]
    code = codes.read(text) or ""
    with ctx.sessions() as session:
        coupon = coupons.named_by(ctx, session, actor.program_id, text)
        found = (
            (What.COUPON, coupon[1]) if coupon else _found(session, session.get_one(Program, actor.program_id), text)
        )
    what, member_id = found
    if member_id is None:
        if what is None and code:
            return Recognised(What.CREDIT_CODE, code=code)
        raise _nobody() if what else _unreadable()
    member = members.by_id(ctx, actor, member_id)
    shown = what in (What.CARD, What.COUPON) or (what is What.OLD_CARD and _is_hard_to_know(member, text))
    reward_id = coupon[0] if coupon else None
    proof = spending_proofs.make(ctx, actor, member.id, reward_id) if shown else ""
    return Recognised(what or What.PHONE, member, proof, code, reward_id)


def whose(session: Session, program: Program, text: str, *, card_only: bool = False) -> UUID:
    """The member whose card, old card or (unless `card_only`) phone number this is, in the caller's transaction.

    Raises Refused: member-not-found, unreadable-code, two-members.
    """
    text = text.strip()[:_LONGEST]
    if card_only and card_codes.read(text) is None:
        if not old_cards.normal(text):
            raise _unreadable()
        text = f"{_CARD_ONLY}{text.removeprefix(_CARD_ONLY)}"
    what, member_id = _found(session, program, text)
    if member_id is None:
        raise _nobody() if what else _unreadable()
    return member_id


def by_card(ctx: Context, actor: Actor, text: str) -> tuple[MemberView, str, UUID | None]:
    """The member with this card, old card or coupon; the proof that it gives ('' when the number is their own phone's);
    and the reward, if it was a coupon's own pass.

    Raises Refused: member-not-found, unreadable-code.
    """
    if card_codes.read(text) is None and coupon_codes.read(text) is None:
        text = f"{_CARD_ONLY}{text.strip().removeprefix(_CARD_ONLY)}"
    try:
        found = recognise(ctx, actor, text)
    except Refused as refusal:
        if card_codes.read(text) is not None:
            raise
        raise Refused(
            "unreadable-code",
            N_("This is not a card code, which has 16 letters and digits. Please scan or type it again."),
            field="code",
        ) from refusal
    if found.member is None:
        raise _nobody()
    return found.member, found.proof, found.reward_id


def _found(session: Session, program: Program, text: str) -> tuple[What | None, UUID | None]:
    """How the text can be read, and whose it is. (None, None) when it is neither a card nor a phone number."""
    card_code = card_codes.read(text)
    if card_code and (member_id := _holder(session, program, MemberCard.code == card_code)):
        return What.CARD, member_id
    phone = "" if text.startswith(_CARD_ONLY) else _phone(text, program)
    caller = _holder(session, program, Member.phone == phone) if phone else None
    holder = None if text.startswith(_PHONE_ONLY) else old_cards.find(session, program.id, text.lstrip(_CARD_ONLY))
    if holder and caller and holder != caller:
        raise Refused(
            "two-members",
            N_(
                "One customer has this phone number, another has an old card with it. Type + and the country code"
                " before a phone number, or # before the number of a card."
            ),
            field="code",
            status=409,
        )
    if holder:
        return What.OLD_CARD, holder
    if caller or (phone and not codes.read(text)):
        return What.PHONE, caller
    named = card_code or text.startswith((_CARD_ONLY, *_STRIPE))
    return (What.OLD_CARD if named else None), None


def _holder(session: Session, program: Program, condition: ColumnElement[bool]) -> UUID | None:
    query = select(Member.id).join(MemberCard).where(Member.program_id == program.id, condition)
    return session.scalars(query).one_or_none()


def _phone(text: str, program: Program) -> str:
    try:
        return normalise(text, program.country)
    except PhoneError:
        return ""


def _is_hard_to_know(member: MemberView, text: str) -> bool:
    """Whether who tells an old card's number has shown the card: a short number is quickly guessed, and many an old
    register took the phone number for the card's."""
    number = old_cards.normal(text).lstrip("0")
    return len(number) >= _SHORTEST_PROOF and not member.phone.endswith(number)


def _nobody() -> Refused:
    return Refused("member-not-found", N_("No member has this card or number."), status=404)


def _unreadable() -> Refused:
    return Refused(
        "unreadable-code",
        N_("This is neither a card, a phone number nor the 7 digits of a credit. Please scan or type again."),
        field="code",
    )
