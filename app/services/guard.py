"""Guarding the till: counting while people work, showing what is odd, and blocking it when it comes again.

The counters lie in Valkey and may be lost with it: then a pattern is seen later. What was shown or blocked, and on what
evidence, is in the database.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from limits import RateLimitItem, RateLimitItemPerSecond
from redis import RedisError
from sqlalchemy import (
    ARRAY,
    Boolean,
    Select,
    String,
    Uuid,
    any_,
    bindparam,
    literal,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.guard import Alert, AlertState, GuardRule
from app.db.lookup import Compiled, Query
from app.db.purchases import Purchase
from app.i18n import N_
from app.logs import log
from app.loyalty.guarding import DEFAULTS, Rule, Step, Threshold, step
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import Refused

_ABOUT_MEMBERS = (
    *(Rule.MEMBER_STAMPS, Rule.MEMBER_BONUS, Rule.MEMBER_USES, Rule.MEMBER_VISITS),
    *(Rule.MEMBER_RINGS, Rule.MEMBER_DEVICES),
)

_PROGRAM = bindparam("program_id", type_=Uuid)
_BLOCKED: Query = select(Alert.rule, literal_column("0"), literal_column("0"), null().cast(Boolean)).where(
    Alert.program_id == _PROGRAM,
    Alert.rule == any_(bindparam("rules", type_=ARRAY(String))),
    Alert.subject_id == any_(bindparam("subjects", type_=ARRAY(Uuid))),
    Alert.state == literal(AlertState.BLOCKED, Alert.state.type, literal_execute=True),
)
_OWN = select(GuardRule.rule, GuardRule.most, GuardRule.minutes, GuardRule.active).where(
    GuardRule.program_id == _PROGRAM
)
_BLOCKS, _THRESHOLDS = Compiled(_BLOCKED.limit(literal_column("1"))), Compiled(_OWN)
_OTHERS = Compiled(
    select(Purchase.recorded_at)
    .where(
        Purchase.program_id == _PROGRAM,
        Purchase.receipt_no == bindparam("receipt_no"),
        Purchase.receipt_no != literal("", literal_execute=True),  # as the index has it
        Purchase.member_id != bindparam("member_id"),
        Purchase.undone_at.is_(None),
    )
    .order_by(Purchase.recorded_at.desc())
    .limit(literal_column("1"))
)
_BOTH = Compiled(union_all(_BLOCKED, _OWN))  # rows of blocks are neither active nor not


@dataclass(frozen=True, slots=True)
class Act:
    """Something that is about to be done, as far as a rule counts it. `member_id` is whom it is done for."""

    rules: tuple[Rule, ...]
    count: int = 1
    member_id: UUID | None = None


def stamps(member_id: UUID, count: int) -> Act:
    return Act((Rule.MEMBER_STAMPS, Rule.TILL_STAMPS), count, member_id)


def typed_bonus(member_id: UUID) -> Act:
    """Somebody typed a purchase that earns bonus."""
    return Act((Rule.MEMBER_BONUS,), 1, member_id)


def use(member_id: UUID | None) -> Act:
    """A reward or credit is used. A group's coupon has no member, and is not counted."""
    return Act((Rule.MEMBER_USES,) if member_id else (), 1, member_id)


def visit(member_id: UUID, *, too_soon: bool) -> Act:
    """A card is shown at the door. Only what comes too soon after another visit is counted."""
    return Act((Rule.MEMBER_VISITS,), 1 if too_soon else 0, member_id)


UNDO = Act((Rule.TILL_UNDOS,))
JOIN = Act((Rule.TILL_JOINS,))
RECEIPT = Act((Rule.TILL_RECEIPTS,))
CODE = Act((Rule.TILL_CODES,))


def watch(ctx: Context, session: Session, actor: Actor, act: Act) -> None:
    """Count an act before it is done. Raises Refused (guard-blocked) when a rule stops it.

    What the customer does, or the installation itself, is not counted. Call it once for each act, not for repeats.
    """
    if actor.staff_id is None and actor.api_key_id is None:
        return
    subjects = {rule: (act.member_id if rule in _ABOUT_MEMBERS else actor.scope) for rule in act.rules}
    limits = _with_defaults(_refuse_blocked(session, actor, subjects, _BOTH))
    for rule, subject in subjects.items():
        if subject is None or not act.count or not limits[rule].active:
            continue
        if _within(ctx, actor, rule, subject, limits[rule], act.count):
            continue
        if _seen(ctx, actor, rule, subject, limits[rule]) is Step.BLOCK:
            raise _stopped(rule)


def report(ctx: Context, session: Session, program_id: UUID, rule: Rule, member_id: UUID) -> None:
    """Note something odd around a member that nobody of the staff has done. Nothing is refused here: see `stopped`."""
    limit = thresholds(session, program_id)[rule]
    actor = Actor(program_id)
    if limit.active and not (limit.most and _within(ctx, actor, rule, member_id, limit, 1)):
        _seen(ctx, actor, rule, member_id, limit)


def stopped(session: Session, program_id: UUID, rules: Iterable[Rule], member_id: UUID) -> bool:
    """Whether one of these rules has stopped the member."""
    asked = [rule.value for rule in rules]
    return bool(_BLOCKS.within(session, program_id=program_id, rules=asked, subjects=[member_id]))


def refuse_blocked(session: Session, actor: Actor, act: Act) -> None:
    """Raise Refused (guard-blocked) when a rule has stopped this cashier or till; nothing is counted."""
    _refuse_blocked(session, actor, dict.fromkeys(act.rules, actor.scope), _BLOCKS)


def _refuse_blocked(
    session: Session, actor: Actor, subjects: Mapping[Rule, UUID | None], asked: Compiled
) -> list[tuple[Any, ...]]:
    """Raise Refused when one of these is blocked; else the other rows of what was asked."""
    rows = asked.within(
        session,
        program_id=actor.program_id,
        rules=[rule.value for rule in subjects],
        subjects=[subject for subject in subjects.values() if subject],
    )
    for rule, _, _, active in rows:
        if active is None:
            raise _stopped(Rule(rule))
    return rows


def _within(ctx: Context, actor: Actor, rule: Rule, subject: UUID, limit: Threshold, count: int) -> bool:
    try:
        return ctx.limiter.hit(_item(limit), *_counter(actor.program_id, rule, subject), cost=min(count, limit.most))
    except RedisError:
        return True


def forget(ctx: Context, program_id: UUID, rule: Rule, subject: UUID, limit: Threshold) -> None:
    """Count anew: what was done so far is fine."""
    with suppress(RedisError):
        ctx.limiter.clear(_item(limit), *_counter(program_id, rule, subject))


def _item(limit: Threshold) -> RateLimitItem:
    return RateLimitItemPerSecond(limit.most, limit.minutes * 60)


def _counter(program_id: UUID, rule: Rule, subject: UUID) -> tuple[str, ...]:
    return "guard", str(program_id), rule.value, str(subject)


def _seen(ctx: Context, actor: Actor, rule: Rule, subject: UUID, limit: Threshold) -> Step:
    """Note that a pattern was seen, in a transaction of its own: the act itself may be about to be refused."""
    now = clock.now()
    kind = "member" if rule in _ABOUT_MEMBERS else ("staff" if actor.staff_id else "api_key")
    evidence = {"most": limit.most, "minutes": limit.minutes, "location_id": str(actor.location_id or "")}
    with ctx.sessions.begin() as session:
        session.execute(
            insert(Alert)
            .values(
                id=uuid7(),
                program_id=actor.program_id,
                rule=rule,
                subject=kind,
                subject_id=subject,
                state=AlertState.SHOWN,
                times=0,
                evidence=evidence,
                first_at=now,
                last_at=now,
            )
            .on_conflict_do_nothing()
        )
        alert = session.scalars(_live(actor.program_id, rule, subject).with_for_update()).one()
        next_step = step(alert.last_at if alert.times else None, limit.window, now)
        if next_step is Step.GO_ON:
            return next_step
        alert.times, alert.last_at, alert.evidence = alert.times + 1, now, evidence
        if next_step is Step.BLOCK:
            alert.state = AlertState.BLOCKED
        record(session, actor, f"guard.{alert.state}", alert.id, rule=rule.value)
    log().warning("guard.seen", rule=rule.value, step=next_step.value, subject=str(subject))
    return next_step


def _live(program_id: UUID, rule: Rule, subject: UUID) -> Select[Alert]:
    return select(Alert).where(
        Alert.program_id == program_id, Alert.rule == rule, Alert.subject_id == subject, Alert.state != AlertState.FINE
    )


def _stopped(rule: Rule) -> Refused:
    if rule in _ABOUT_MEMBERS:
        words = N_("This card was used unusually often, so it is stopped. A manager can allow it again in the office.")
    else:
        words = N_("This was done unusually often here, so it is stopped. A manager can allow it again in the office.")
    return Refused("guard-blocked", words, status=403)


def watch_receipt(ctx: Context, session: Session, actor: Actor, member_id: UUID, receipt_no: str) -> None:
    """Count a receipt number that has served another member within the rule's time. Raises as `watch` does."""
    if not receipt_no:
        return
    # First whether there is any, and then when: numbers that come twice are rare.
    rows = _OTHERS.within(session, program_id=actor.program_id, receipt_no=receipt_no, member_id=member_id)
    if not rows:
        return
    window = thresholds(session, actor.program_id)[Rule.TILL_RECEIPTS].window
    if rows[0][0] > clock.now() - window:
        watch(ctx, session, actor, RECEIPT)


def thresholds(session: Session, program_id: UUID) -> dict[Rule, Threshold]:
    """The programme's thresholds, with the defaults where it has set none."""
    return _with_defaults(_THRESHOLDS.within(session, program_id=program_id))


def _with_defaults(own: Iterable[tuple[Any, ...]]) -> dict[Rule, Threshold]:
    known = {rule.value for rule in Rule}
    return DEFAULTS | {
        Rule(rule): Threshold(most, minutes, active) for rule, most, minutes, active in own if rule in known
    }
