"""Looking a typed 7-digit code up, with everything that decides whether it can be used, in one statement."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Integer,
    LargeBinary,
    String,
    all_,
    any_,
    bindparam,
    func,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy.orm import Session

from app import clock
from app.db.credit import CodeGroup, Credit, CreditStatus, ProgramRules
from app.db.lookup import Compiled
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.i18n import N_
from app.loyalty.credit import day_of, last_day
from app.services import credit_codes
from app.services.context import Context
from app.services.errors import Refused
from app.services.program_rules import COLUMNS, Rules
from app.services.recent import Recent
from sms.codes import needs_phone_digits

_MOST_PROGRAMS = 100  # that are looked through for a code of another programme


class Reason(StrEnum):
    """Why a code cannot be used."""

    UNKNOWN = "unknown"
    OTHER_PROGRAM = "other_program"
    NOT_YET = "not_yet"
    EXPIRED = "expired"
    USED = "used"
    BLOCKED = "blocked"
    WITHDRAWN = "withdrawn"
    MEMBER_BLOCKED = "member_blocked"
    MEMBER_LEFT = "member_left"
    OTHER_PHONE = "other_phone"


# One answer for every miss, so that it tells nothing of the code that was typed.
PEPPER_MISSING = N_(
    "This code is not valid, or it cannot be found: this installation lacks a secret that older codes were made with. "
    "Take the credit off by the customer's card instead, and tell the owner to run “leima doctor”."
)
_WORDS = {
    Reason.UNKNOWN: N_("This programme has no credit with this code."),
    Reason.OTHER_PROGRAM: N_("This is a code of another programme."),
    Reason.NOT_YET: N_("This credit can be used from %(day)s."),
    Reason.EXPIRED: N_("This credit is over: its last day was %(day)s."),
    Reason.USED: N_("This credit has been used."),
    Reason.BLOCKED: N_("This credit is blocked. A manager can open it again."),
    Reason.WITHDRAWN: N_("This credit was taken back."),
    Reason.MEMBER_BLOCKED: N_("The customer who has this credit is blocked."),
    Reason.MEMBER_LEFT: N_("The customer who has this credit has left the programme."),
    Reason.OTHER_PHONE: N_("The customer who has this credit has a phone number with other last digits."),
}
_CLOSED = {
    CreditStatus.USED: Reason.USED,
    CreditStatus.LAPSED: Reason.EXPIRED,
    CreditStatus.BLOCKED: Reason.BLOCKED,
    CreditStatus.WITHDRAWN: Reason.WITHDRAWN,
}


@dataclass(frozen=True, slots=True)
class FoundCredit:
    """A credit that has the code that was typed, and the member (None for a group's) or group whose it is."""

    id: UUID
    status: CreditStatus
    amount_minor: int
    balance_minor: int
    valid_from: datetime
    expires_at: datetime
    member_id: UUID | None
    member_status: MemberStatus | None
    phone: str
    name: str  # the member's or the group's


@dataclass(frozen=True, slots=True)
class Found:
    """What a code has led to."""

    time_zone: str
    rules: Rules
    credit: FoundCredit | None


_LOOK_UP = Compiled(
    select(
        Program.time_zone,
        *COLUMNS,
        Credit.id,
        Credit.status,
        Credit.amount_minor,
        Credit.balance_minor,
        Credit.valid_from,
        Credit.expires_at,
        Credit.member_id,
        Member.status,
        func.coalesce(Member.phone, literal("", literal_execute=True)),
        func.coalesce(Member.name, CodeGroup.name, literal("", literal_execute=True)),
    )
    .select_from(Program)
    .outerjoin(ProgramRules, ProgramRules.program_id == Program.id)
    .outerjoin(Credit, Credit.code_hash == any_(bindparam("hashes", type_=ARRAY(LargeBinary))))
    .outerjoin(Member, Member.id == Credit.member_id)
    .outerjoin(CodeGroup, CodeGroup.id == Credit.group_id)
    .where(Program.id == bindparam("program_id"))
    .limit(literal_column("1"))
)

_CREDIT_FROM = 1 + len(COLUMNS)  # the row's columns before are the programme's


def look_up(ctx: Context, session: Session, program_id: UUID, code: str) -> Found:
    """One statement with one row, whatever the code is, so that its time tells nothing."""
    hashes = credit_codes.hashes_of(ctx, program_id, code)
    [row] = _LOOK_UP.within(session, program_id=program_id, hashes=hashes)
    zone, own = row[0], row[1:_CREDIT_FROM]
    rules = Rules() if own[0] is None else Rules(*own)
    if row[_CREDIT_FROM] is None:
        return Found(zone, rules, None)
    credit = FoundCredit(*row[_CREDIT_FROM:])
    whose = None if credit.member_status is None else MemberStatus(credit.member_status)
    return Found(zone, rules, replace(credit, status=CreditStatus(credit.status), member_status=whose))


def obstacle(found: Found, phone_last4: str, at: datetime, *, strict: bool) -> Reason | None:
    """Why the code cannot be used now; None when it can. `strict`: a member's code needs the phone's last digits."""
    credit = found.credit
    if credit is None:
        return Reason.UNKNOWN
    if credit.member_id and (phone_last4 or strict) and not credit.phone.endswith(phone_last4 or "-"):
        return Reason.OTHER_PHONE
    if credit.member_id and credit.member_status is not MemberStatus.ACTIVE:
        blocked = credit.member_status is MemberStatus.BLOCKED
        return Reason.MEMBER_BLOCKED if blocked else Reason.MEMBER_LEFT
    if credit.status in _CLOSED:
        return _CLOSED[credit.status]
    if credit.expires_at <= at:
        return Reason.EXPIRED
    return Reason.NOT_YET if at < credit.valid_from else None


def explained(reason: Reason, found: Found) -> Refused:
    """The refusal for staff who may know the reason."""
    params = {}
    if found.credit is not None and reason is Reason.NOT_YET:
        params["day"] = day_of(found.credit.valid_from, found.time_zone)
    if found.credit is not None and reason is Reason.EXPIRED:
        params["day"] = last_day(found.credit.expires_at, found.time_zone)
    return Refused("code-not-valid", _WORDS[reason], params, field="code", status=404)


def is_elsewhere(ctx: Context, session: Session, program_id: UUID, code: str) -> bool:
    """Whether another programme of this installation has given this code."""
    others = session.scalars(select(Program.id).where(Program.id != program_id).limit(_MOST_PROGRAMS)).all()
    if not others:
        return False
    theirs = or_(*(credit_codes.has_code(ctx, other, code) for other in others))
    return session.scalars(select(Credit.id).where(theirs).limit(1)).first() is not None


_LOST = Compiled(
    select(Credit.id)
    .where(
        Credit.program_id == bindparam("program_id"),
        Credit.status == literal(CreditStatus.OPEN, Credit.status.type, literal_execute=True),
        Credit.code_hash.is_not(None),
        Credit.pepper_id != all_(bindparam("held", type_=ARRAY(String))),
    )
    .limit(literal_column("1"))
)
# Where none is lost, all active codes are looked through: once in so long for each set of peppers that is held.
_LOOK_AGAIN = timedelta(minutes=10)
_lost: Recent[bool] = Recent(256)


def any_lost(ctx: Context, session: Session, program_id: UUID) -> bool:
    """Whether active codes of this programme were made with a pepper that is not here."""
    held = [pepper.id for pepper in ctx.peppers().held]
    turn = clock.now().timestamp() // _LOOK_AGAIN.total_seconds()
    return _lost.get(
        (program_id, tuple(held), turn), lambda: bool(_LOST.within(session, program_id=program_id, held=held))
    )


_COUNT_ACTIVE = Compiled(
    select(func.count()).select_from(
        select(Credit.id)
        .where(
            Credit.program_id == bindparam("program_id"),
            Credit.status == literal(CreditStatus.OPEN, Credit.status.type, literal_execute=True),
            Credit.code_hash.is_not(None),
        )
        .limit(bindparam("most", type_=Integer))
        .subquery()
    )
)


def phone_digits_needed(session: Session, program_id: UUID) -> bool:
    """Whether so many codes are active that guessing is worth the while. Counts no further than it must."""
    [(active,)] = _COUNT_ACTIVE.within(session, program_id=program_id, most=least_that_needs_digits())
    return needs_phone_digits(active)


@cache
def least_that_needs_digits() -> int:
    """The smallest number of active codes with which the phone's last digits are asked for."""
    return next(count for count in range(1, 10**7) if needs_phone_digits(count))
