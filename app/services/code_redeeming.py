"""A 7-digit code at the till: what it is worth, and using it.

Whoever tries codes is told one thing only of a wrong one, after the same work: not whether it was ever somebody's.
Staff who may manage are told the reason.
"""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from app import clock
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.i18n import N_
from app.services import code_lookup, credit_taking, guard
from app.services.bought import LARGEST_PURCHASE_MINOR
from app.services.code_attempts import Missed, attempt
from app.services.code_lookup import Found, FoundCredit, Reason
from app.services.context import Actor, Context
from app.services.errors import Refused
from app.services.forms import plain_line
from app.services.ledger_book import Occasion, occasion
from app.services.members import fetch
from app.services.program_rules import Rules
from app.services.saved_answers import Answer, fingerprint, once
from app.services.settling import settle
from app.services.till import place_of
from sms import codes
from sms.digits import ascii_digits
from sms.phones import masked


@dataclass(frozen=True, slots=True)
class CheckedCode:
    """A credit that can be used now. `holder`: the member's name or masked phone number, or the group's name."""

    credit_id: UUID
    amount_minor: int
    balance_minor: int
    valid_from: datetime
    expires_at: datetime
    holder: str
    member_id: UUID | None
    needs_phone_digits: bool


def check(
    ctx: Context, actor: Actor, code: str, phone_last4: str | None = None, *, location: UUID | str | None = None
) -> CheckedCode:
    """What this code is worth. A wrong one counts as a try.

    `phone_last4`: the last digits of the customer's phone number; '' says that there is no customer, as with a
    group's coupon. While many codes are active, None is refused before anything is looked up. Raises Refused:
    unreadable-code, invalid-phone-digits, phone-digits-needed, code-not-valid, codes-paused, too-many-tries,
    limiter-down, guard-blocked, location-not-found.
    """
    digits, last4 = _digits(code), _last4(phone_last4)
    with ctx.sessions.begin() as session:
        place = place_of(session, actor, location)
        strict = _is_strict(session, actor, last4)
        with _trying(ctx, session, actor, place):
            credit, _ = _usable(ctx, session, actor, digits, last4, strict=strict)
    return CheckedCode(
        credit.id,
        credit.amount_minor,
        credit.balance_minor,
        credit.valid_from,
        credit.expires_at,
        credit.name or masked(credit.phone),
        credit.member_id,
        strict,
    )


def redeem(
    ctx: Context,
    actor: Actor,
    code: str,
    *,
    amount_minor: int,
    receipt_no: str = "",
    location: UUID | str | None = None,
    phone_last4: str | None = None,
    key: str | None = None,
) -> tuple[Answer, bool]:
    """Take a bill of `amount_minor` off the credit with this code, as far as it goes.

    A repeat with the same key gets the saved answer and is no try. Returns {entry_id, credit_id, member_id (None for a
    group's), redeemed_minor, left_minor, lapsed_minor, expires_at}, and whether it repeats an earlier answer. Raises as
    `check` does, and Refused: amount-needed, invalid-amount, idempotency-key-reused.
    """
    digits, last4 = _digits(code), _last4(phone_last4)
    if amount_minor == 0:
        raise Refused("amount-needed", N_("Enter the amount of the bill."), field="amount_minor")
    if not 0 < amount_minor <= LARGEST_PURCHASE_MINOR:
        raise Refused("invalid-amount", N_("This amount cannot be right."), field="amount_minor")
    asked = _Asked(digits, last4, amount_minor, receipt_no, location)
    request = {
        # Keyed, because a plain hash of seven digits is undone in a second.
        "code": ctx.keyed_hash("redeemed-code", f"{digits}:{last4}"),
        "amount_minor": amount_minor,
        "receipt_no": receipt_no,
        "location": location,
    }
    with ctx.sessions.begin() as session:
        return once(
            session,
            actor,
            key,
            fingerprint("credit.redeem", request),
            lambda: _redeem(ctx, session, actor, asked),
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    code: str
    last4: str | None
    amount_minor: int
    receipt_no: str
    location: UUID | str | None


def _redeem(ctx: Context, session: Session, actor: Actor, asked: _Asked) -> Answer:
    place = place_of(session, actor, asked.location)
    receipt_no = plain_line(asked.receipt_no, 60)
    act = occasion(actor, clock.now(), amount_minor=asked.amount_minor, receipt_no=receipt_no, location_id=place)
    strict = not asked.last4 and _is_strict(session, actor, asked.last4)
    with _trying(ctx, session, actor, place):
        credit, rules = _usable(ctx, session, actor, asked.code, asked.last4, strict=strict)
        taken = _take(ctx, session, credit, act, asked.amount_minor, rules)
        if taken is None:  # another till was quicker
            raise Missed(_gone(ctx, session, actor, asked, strict=strict))
    return {
        "entry_id": str(act.operation_id),
        "credit_id": str(taken.credit_id),
        "member_id": str(credit.member_id) if credit.member_id else None,
        "redeemed_minor": taken.used_minor,
        "left_minor": taken.left_minor,
        "lapsed_minor": taken.lapsed_minor,
        "expires_at": credit.expires_at.isoformat(),
    }


@contextmanager
def _trying(ctx: Context, session: Session, actor: Actor, place: UUID | None) -> Iterator[None]:
    """Count what is tried inside, and show managers who tries too much."""
    guard.refuse_blocked(session, actor, guard.CODE)
    try:
        with attempt(ctx, actor, place):
            yield
    except Refused as refusal:
        if refusal.kind in ("code-not-valid", "codes-paused"):
            guard.watch(ctx, session, actor, guard.CODE)
        raise


def _usable(
    ctx: Context, session: Session, actor: Actor, code: str, last4: str | None, *, strict: bool
) -> tuple[FoundCredit, Rules]:
    """The credit with this code, and the programme's rules. Raises Missed when it cannot be used."""
    found = code_lookup.look_up(ctx, session, actor.program_id, code)
    reason = code_lookup.obstacle(found, last4 or "", clock.now(), strict=strict)
    if reason is not None or found.credit is None:
        raise Missed(_not_valid(ctx, session, actor, code, reason or Reason.UNKNOWN, found))
    return found.credit, found.rules


def _not_valid(ctx: Context, session: Session, actor: Actor, code: str, reason: Reason, found: Found) -> Refused:
    """A till's software may be in anybody's hands, so a key is told no more than a cashier."""
    lost = code_lookup.any_lost(ctx, session, actor.program_id)
    if not (actor.may_manage and actor.staff_id):
        words = code_lookup.PEPPER_MISSING if lost else N_("This code is not valid.")
        return Refused("code-not-valid", words, field="code", status=404)
    if reason is Reason.UNKNOWN and code_lookup.is_elsewhere(ctx, session, actor.program_id, code):
        reason = Reason.OTHER_PROGRAM
    if reason is Reason.UNKNOWN and lost:
        return Refused("code-not-valid", code_lookup.PEPPER_MISSING, field="code", status=404)
    return code_lookup.explained(reason, found)


def _gone(ctx: Context, session: Session, actor: Actor, asked: _Asked, *, strict: bool) -> Refused:
    """The answer for a credit that could be used a moment ago."""
    found = code_lookup.look_up(ctx, session, actor.program_id, asked.code)
    reason = code_lookup.obstacle(found, asked.last4 or "", clock.now(), strict=strict)
    return _not_valid(ctx, session, actor, asked.code, reason or Reason.USED, found)


def _take(
    ctx: Context, session: Session, credit: FoundCredit, act: Occasion, bill_minor: int, rules: Rules
) -> credit_taking.Taken | None:
    """Take it, the member's lock first. None when it cannot be used any more."""
    member = None
    if credit.member_id is not None:
        member = fetch(session, act.actor, Member.id == credit.member_id, lock=True)
        if member.status is not MemberStatus.ACTIVE:
            return None
        settle(session, member, act.at)
    guard.watch(ctx, session, act.actor, guard.use(credit.member_id))
    program = session.get_one(Program, act.actor.program_id)
    return credit_taking.take(session, program, credit.id, member, act, bill_minor, rules)


def _is_strict(session: Session, actor: Actor, last4: str | None) -> bool:
    """Whether a member's code needs the phone's last digits. Raises Refused when nobody has said anything of them."""
    strict = code_lookup.phone_digits_needed(session, actor.program_id)
    if strict and last4 is None:
        raise Refused(
            "phone-digits-needed",
            N_(
                "Type the last 4 digits of the customer's phone number, too. "
                "Leave them empty for a coupon of a company or a club."
            ),
            field="phone_last4",
        )
    return strict


def _digits(text: str) -> str:
    code = codes.read(text)
    if code is None:
        raise Refused("unreadable-code", N_("A credit code has 7 digits. Please type it again."), field="code")
    return code


def _last4(text: str | None) -> str | None:
    """The phone's last digits in any script; '' and None as they came."""
    if text is None or not text.strip():
        return None if text is None else ""
    digits = ascii_digits(unicodedata.normalize("NFKC", text)).strip()
    if not re.fullmatch("[0-9]{4}", digits):
        raise Refused(
            "invalid-phone-digits", N_("Type the last 4 digits of the customer's phone number."), field="phone_last4"
        )
    return digits
