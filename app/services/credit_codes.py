"""Seven-digit codes of credits: drawn apart from each other, kept as keyed hashes, and found when they are typed.

A member's code can be made again from the credit's nonce and the pepper, so that an SMS reads the same after a crash
and the code itself rests nowhere. A group's code is drawn once and shown once.
"""

import hmac
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, LargeBinary, String, any_, func, literal, select, update
from sqlalchemy.orm import Session

from app import clock
from app.db.credit import Credit, CreditStatus
from app.db.register import OldCard
from app.i18n import N_
from app.services import code_alarms
from app.services.context import Context
from app.services.errors import Refused
from app.services.peppers import Pepper, PepperMissing, Peppers
from sms.codes import LENGTH, SPACE, CodeSpaceFull, choose, code_hash, draw, near

# Whoever still has the SMS of a closed credit must not pay with another's: nobody gets its code for so long.
REST = timedelta(days=90)
_RESTING = (CreditStatus.USED, CreditStatus.LAPSED, CreditStatus.WITHDRAWN)
_FREED_AT_A_TIME = 5000
_NONCE_BYTES, _HASH_BYTES = 16, 32
_SPARE = 3
_CHUNK = 500  # candidates that are looked up together; each has some 70 neighbours
_TRIES = 200
# Advisory locks, by numbers that no other lock of ours has.
_PEPPER_LOCK, _PROGRAM_LOCK = 5349, 5350

# A code drawn for this programme, and the nonce from which this pepper makes it again, if it does.
Draw = Callable[[Pepper, UUID], tuple[str, bytes | None]]


def of_member(pepper: Pepper, program_id: UUID) -> tuple[str, bytes | None]:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _derived(pepper, program_id, nonce), nonce


def of_group(_pepper: Pepper, _program_id: UUID) -> tuple[str, bytes | None]:
    return draw(secrets.randbelow), None


def code_for(ctx: Context, session: Session, credit: Credit, draw_one: Draw = of_member) -> str:
    """The code of a member's credit: the one that it has, or else one drawn now, which the caller's commit keeps.

    To draw one, it locks the credit, then the programme's codes until the transaction ends: draw for one credit a
    transaction, and take the member's lock, if any, before. Raises Refused (code-space-full, code-lost).
    """
    if credit.code_hash is not None:
        return code_again(ctx, credit)
    session.flush()
    session.refresh(credit, with_for_update=True)  # another worker may be at it
    if credit.code_hash is not None:
        return code_again(ctx, credit)
    peppers = lock_codes(ctx, session, credit.program_id)
    drawn: list[tuple[str, bytes | None]] = []

    def draw_code() -> str:
        drawn.append(draw_one(peppers.newest, credit.program_id))
        return drawn[-1][0]

    def any_taken(codes: Collection[str]) -> bool:
        return bool(_taken(session, peppers, credit.program_id, {drawn[-1][0]: codes}))

    try:
        choose(any_taken, draw_code, _TRIES)
    except CodeSpaceFull:
        raise _full(ctx, credit.program_id) from None
    _keep(credit, peppers.newest, *drawn[-1])
    session.flush()
    return drawn[-1][0]


def code_again(ctx: Context, credit: Credit) -> str:
    """The code that a member's credit has, made again. Raises Refused (code-lost) when that cannot be done."""
    lost = Refused(
        "code-lost",
        N_("The code of this credit cannot be made again. Take the credit back, and give a new one."),
        status=409,
    )
    if credit.code_nonce is None:
        raise lost
    try:
        return _derived(ctx.peppers().by_id(credit.pepper_id), credit.program_id, credit.code_nonce)
    except PepperMissing:
        raise lost from None


def issue_many(ctx: Context, session: Session, credits: Sequence[Credit], draw_one: Draw | None = None) -> list[str]:
    """Codes for new credits of one programme, all of members or all of groups, in their order.

    Call it before the credits are flushed: each is then written once. The caller's commit keeps the codes. Those of
    members can be made again, those of groups cannot: show them now. Raises Refused (code-space-full) and issues none.
    """
    if not credits:
        return []
    program_id = credits[0].program_id
    draw_one = draw_one or (of_group if credits[0].member_id is None else of_member)
    found: dict[str, bytes | None] = {}
    with session.no_autoflush:
        peppers = lock_codes(ctx, session, program_id)
        tries = len(credits) * _TRIES
        while len(found) < len(credits) and tries > 0:
            # Some more than are missing, so that the last few need no round of their own.
            count = min(_CHUNK, len(credits) - len(found) + _SPARE)
            tries -= count
            candidates = dict(draw_one(peppers.newest, program_id) for _ in range(count))
            around = {code: near(code) | {code} for code in candidates}
            for code in around.keys() - _taken(session, peppers, program_id, around):
                if found.keys().isdisjoint(around[code]):
                    found[code] = candidates[code]
    if len(found) < len(credits):
        raise _full(ctx, program_id)
    chosen = list(islice(found.items(), len(credits)))
    for credit, (code, nonce) in zip(credits, chosen, strict=True):
        _keep(credit, peppers.newest, code, nonce)
    return [code for code, _ in chosen]


def find(ctx: Context, session: Session, program_id: UUID, code: str) -> Credit | None:
    """The credit with this code, in whatever state: also one that was closed and whose code rests."""
    return session.scalars(select(Credit).where(has_code(ctx, program_id, code)).limit(1)).one_or_none()


def has_code(ctx: Context, program_id: UUID, code: str) -> ColumnElement[bool]:
    """The condition that finds a credit by its code."""
    return Credit.code_hash == any_(literal(hashes_of(ctx, program_id, code), ARRAY(LargeBinary)))


def hashes_of(ctx: Context, program_id: UUID, code: str) -> list[bytes]:
    """As what a code may be stored: with each pepper that is held."""
    return _hashes(ctx.peppers(), program_id, (code,))


def are_of_group(ctx: Context, session: Session, group_id: UUID, program_id: UUID, codes: Collection[str]) -> bool:
    """Whether all of these codes are a group's, and none was withdrawn."""
    hashes = _hashes(ctx.peppers(), program_id, codes)
    found = select(func.count()).where(
        Credit.group_id == group_id,
        Credit.status != CreditStatus.WITHDRAWN,
        Credit.code_hash == any_(literal(hashes, ARRAY(LargeBinary))),
    )
    return bool(codes) and session.scalar(found) == len(codes)


def free_rested(ctx: Context) -> int:
    """Forget codes that have rested, some at a time: they may be drawn again. Returns how many."""
    rested = (
        select(Credit.id)
        .where(
            Credit.code_hash.is_not(None),
            Credit.status.in_([literal(status, Credit.status.type, literal_execute=True) for status in _RESTING]),
            Credit.closed_at < clock.now() - REST,
        )
        .limit(_FREED_AT_A_TIME)
        .with_for_update(skip_locked=True)
    )
    with ctx.sessions.begin() as session:
        freed = session.execute(
            update(Credit)
            .where(Credit.id.in_(rested.cte("rested").select()))
            .values(code_hash=None, code_nonce=None, pepper_id="")
            .returning(Credit.id)
            .execution_options(synchronize_session=False)
        )
        return len(freed.all())


def lock_codes(ctx: Context, session: Session, program_id: UUID) -> Peppers:
    """Be the only one who draws codes of this programme until the transaction ends; returns the peppers to use.

    They are read under the lock, so that none of them is dropped before this transaction's codes can be seen.
    """
    number = int.from_bytes(program_id.bytes[-4:], signed=True)
    session.execute(
        select(func.pg_advisory_xact_lock_shared(_PEPPER_LOCK, 0), func.pg_advisory_xact_lock(_PROGRAM_LOCK, number))
    )
    return ctx.peppers()


def lock_peppers(session: Session) -> None:
    """Wait until all codes that are being drawn are kept; no code is drawn until this transaction ends."""
    session.execute(select(func.pg_advisory_xact_lock(_PEPPER_LOCK, 0)))


def _derived(pepper: Pepper, program_id: UUID, nonce: bytes) -> str:
    """256 bits modulo ten million: how much likelier one code is than another cannot be measured."""
    digest = hmac.digest(pepper.key, b"code" + program_id.bytes + nonce, "sha256")
    return f"{int.from_bytes(digest) % SPACE:0{LENGTH}d}"


def _hashes(peppers: Peppers, program_id: UUID, codes: Collection[str]) -> list[bytes]:
    return [code_hash(pepper.key, program_id, code) for pepper in peppers.held for code in codes]


def _taken(session: Session, peppers: Peppers, program_id: UUID, around: Mapping[str, Collection[str]]) -> set[str]:
    """Those candidates (code → itself and its neighbours) that are active or resting, near one that is, or old cards.

    One look at the database for all of them."""
    owners: dict[bytes, list[str]] = {}
    for code, codes in around.items():
        for hashed in _hashes(peppers, program_id, codes):
            owners.setdefault(hashed, []).append(code)
    # In one piece: to bind a hundred thousand values would take ten times as long as to look them up.
    pieces = func.generate_series(0, len(owners) - 1).table_valued("number").render_derived()
    start = pieces.c.number * _HASH_BYTES + 1
    wanted = select(func.substring(literal(b"".join(owners), LargeBinary), start, _HASH_BYTES).label("hash")).subquery()
    held = session.scalars(select(Credit.code_hash).join(wanted, Credit.code_hash == wanted.c.hash))
    old = session.scalars(
        select(OldCard.number).where(
            OldCard.program_id == program_id, OldCard.number == any_(literal(list(around), ARRAY(String)))
        )
    )
    return {code for hashed in held if hashed for code in owners[hashed]} | set(old)


def _keep(credit: Credit, pepper: Pepper, code: str, nonce: bytes | None) -> None:
    credit.code_hash = code_hash(pepper.key, credit.program_id, code)
    credit.code_nonce, credit.pepper_id = nonce, pepper.id


def _full(ctx: Context, program_id: UUID) -> Refused:
    code_alarms.tell(ctx, program_id, code_alarms.CodeAlarm.SPACE_FULL)
    return Refused(
        "code-space-full",
        N_("No free code is left: too many are active at once. Let credits end sooner, or give fewer of them."),
        status=503,
    )
