"""Proof that a customer is at the till: their card was scanned, or a code sent to their phone was typed.

A phone number is no secret. Who earns by it can do no harm; who spends by it must show one of the two. The proof is a
signed word that is kept nowhere: it holds for one member, for the one who got it, for `LASTS`.
"""

import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

from limits import parse
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app import clock
from app.db.credit import SpendingProof
from app.db.people import Member
from app.db.programs import Program
from app.i18n import N_
from app.loyalty import card_codes
from app.services import limits, one_time_codes, sms_sending, sms_texts
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import Refused
from app.services.limits import WhenDown
from app.services.members import fetch
from app.services.membership import usable
from sms.digits import ascii_digits

LASTS = timedelta(minutes=30)
CODE_LASTS = timedelta(minutes=10)
MOST_TRIES = 5
NONCE_BYTES = 16

# A double click costs one message; nobody's phone can be flooded, nor a code be guessed at by asking for new ones.
_AGAIN = parse("1 per 30 seconds")
_AN_HOUR = parse("5 per hour")
_PROOF = re.compile(r"([0-9a-f]{8,12})-([0-9a-f]{64})")


def make(ctx: Context, actor: Actor, member_id: UUID, reward_id: UUID | None = None) -> str:
    """A proof, in the actor's hands only, for this member from now on. For whoever has seen the member's card; with
    `reward_id` for this reward alone, for whoever has seen its coupon: people pass coupons on."""
    moment = format(int(clock.now().timestamp()), "x")
    return f"{moment}-{_signature(ctx, actor, member_id, moment, reward_id)}"


def is_valid(ctx: Context, actor: Actor, member_id: UUID, proof: str, reward_id: UUID | None = None) -> bool:
    """Whether this proof lets the actor spend what is the member's; with `reward_id` also one for this reward alone."""
    found = _PROOF.fullmatch(proof)
    if found is None:
        return False
    good = {_signature(ctx, actor, member_id, found[1], only) for only in (None, reward_id)}
    if not any(hmac.compare_digest(found[2], signature) for signature in good):
        return False
    return clock.now() - datetime.fromtimestamp(int(found[1], 16), UTC) < LASTS


def require(
    ctx: Context,
    actor: Actor,
    member: Member,
    *,
    proof: str = "",
    card_code: str = "",
    reward_id: UUID | None = None,
) -> None:
    """Let the actor spend what is the member's, or use this reward, if there is proof. Raises Refused: proof-needed,
    proof-not-valid."""
    if not proof and not card_code:
        raise Refused(
            "proof-needed",
            N_("To spend, scan the customer's card, or send a code to the customer's phone."),
            status=403,
        )
    shown = bool(card_code) and card_codes.read(card_code) == member.card.code
    if not shown and not is_valid(ctx, actor, member.id, proof, reward_id):
        raise Refused(
            "proof-not-valid",
            N_("This proof has run out or is another customer's. Scan the card, or send a new code to the phone."),
            status=403,
        )


def send(ctx: Context, actor: Actor, member_id: UUID, *, template: str = sms_texts.ONE_TIME) -> datetime:
    """Send the member a one-time code, which the actor can then confirm; return when it is over.

    While a code lives it is sent once more, and lives on. With another `template` it is not for spending: then it also
    goes to who is blocked or has left. Each template has a budget of its own: whoever has a member's link, and asks for
    codes on their page, does not keep them from paying at the till.

    Raises Refused: member-not-found, member-blocked, member-left, too-many-tries, limiter-down.
    """
    now = clock.now()
    with ctx.sessions.begin() as session:
        # The member's lock makes one live code of two that are asked for at once.
        if template == sms_texts.ONE_TIME:
            member = usable(session, actor, Member.id == member_id)
        else:
            member = fetch(session, actor, Member.id == member_id, lock=True)
        limits.spend(ctx, _AGAIN, template, str(member.id), str(actor.scope), when_down=WhenDown.REFUSE)
        limits.spend(ctx, _AN_HOUR, template, str(member.id), when_down=WhenDown.REFUSE)
        row = session.scalars(_live(actor, member_id, now).with_for_update()).one_or_none()
        if row is None:
            row = SpendingProof(
                program_id=actor.program_id,
                member_id=member.id,
                asked_by=actor.scope,
                nonce=secrets.token_bytes(NONCE_BYTES),
                created_at=now,
            )
            session.add(row)
        row.expires_at = now + CODE_LASTS
        session.flush()
        sms_sending.queue(
            session,
            session.get_one(Program, actor.program_id),
            member.phone,
            language=member.language,
            template=template,
            params={one_time_codes.PARAM: str(row.id)},
            member_id=member.id,
        )
        record(session, actor, "proof.sent", member.id)
        return row.expires_at


def is_waiting(ctx: Context, actor: Actor, member_id: UUID) -> bool:
    """Whether a code is out that this actor may confirm for this member."""
    with ctx.sessions() as session:
        return session.scalars(_live(actor, member_id, clock.now())).one_or_none() is not None


def confirm(ctx: Context, actor: Actor, member_id: UUID, typed: str) -> tuple[str, datetime]:
    """The proof for the one-time code that the customer told, and until when it holds.

    Digits of any script and spaces are read. Each code is used once. Raises Refused: member-not-found,
    one-time-code-wrong (says how many tries are left), one-time-code-over (none was sent, it is too old, used, or was
    mistyped too often).
    """
    with ctx.sessions.begin() as session:
        fetch(session, actor, Member.id == member_id)
        refusal = _try(ctx, session, actor, member_id, typed)
    # Raised after the commit: a wrong try counts.
    if refusal is not None:
        raise refusal
    return make(ctx, actor, member_id), clock.now() + LASTS


def _try(ctx: Context, session: Session, actor: Actor, member_id: UUID, typed: str) -> Refused | None:
    now = clock.now()
    row = session.scalars(_live(actor, member_id, now).with_for_update()).one_or_none()
    if row is None:
        return Refused(
            "one-time-code-over",
            N_("No code is open for this customer. Send a new one."),
            field="one_time_code",
            status=409,
        )
    right = one_time_codes.digits(ctx, row)
    if hmac.compare_digest(right.encode(), _plain(typed).encode()):
        row.used_at = now
        record(session, actor, "proof.confirmed", member_id)
        return None
    row.tries += 1
    if row.tries >= MOST_TRIES:
        return Refused(
            "one-time-code-over",
            N_("This code was mistyped too often and is over. Send a new one."),
            field="one_time_code",
            status=409,
        )
    return Refused(
        "one-time-code-wrong",
        N_("This is not the code that was sent. Tries left: %(left)s."),
        {"left": MOST_TRIES - row.tries},
        field="one_time_code",
    )


def _live(actor: Actor, member_id: UUID, at: datetime) -> Select[SpendingProof]:
    """The code that this actor may still confirm for this member. Whoever tries it locks its row: tries are counted
    one by one."""
    return (
        select(SpendingProof)
        .where(
            SpendingProof.member_id == member_id,
            SpendingProof.asked_by == actor.scope,
            SpendingProof.expires_at > at,
            SpendingProof.used_at.is_(None),
            SpendingProof.tries < MOST_TRIES,
        )
        .order_by(SpendingProof.id.desc())
        .limit(1)
    )


def _plain(typed: str) -> str:
    return "".join(char for char in ascii_digits(typed[:40]) if char.isalnum())


def _signature(ctx: Context, actor: Actor, member_id: UUID, moment: str, reward_id: UUID | None = None) -> str:
    only = f":{reward_id}" if reward_id else ""
    return ctx.keyed_hash("spending-proof", f"{actor.scope}:{member_id}:{moment}{only}")
