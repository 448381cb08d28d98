"""What is written of a batch of a campaign's messages: a statement for all of them, however many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from app import clock
from app.db.programs import Program
from app.services import sms_rules, sms_sending, sms_spending, sms_texts
from app.services.context import Context
from sms.delivery_states import State
from sms.provider import Accepted, OutgoingMessage, SmsError
from sms.reasons import Reason


@dataclass(frozen=True, slots=True)
class Handing:
    """A message that this worker is about to hand over. `begun_at` tells this try from any other one."""

    message_id: UUID
    number: int  # of the recipient
    member_id: UUID
    language: str
    outgoing: OutgoingMessage
    parts: int
    cost_micro: int
    begun_at: datetime


@dataclass(frozen=True, slots=True)
class HandedOver:
    """What became of it: accepted, an error, or None: the provider was not asked."""

    handing: Handing
    result: Accepted | SmsError | None

    @property
    def not_taken(self) -> bool:
        """Certainly not taken, and worth another try."""
        return self.result is None or (
            isinstance(self.result, SmsError) and not (self.result.unknown or self.result.permanent)
        )


def skip(session: Session, reasons: Mapping[int, str]) -> None:
    """These recipients (by their numbers) get nothing."""
    if reasons:
        session.execute(text(_SKIP), {"numbers": list(reasons), "reasons": list(reasons.values())})


def hand_cards(session: Session, numbers: Sequence[int], now: datetime) -> None:
    """These recipients have it on their cards."""
    session.execute(text(_HAND_CARDS), {"numbers": list(numbers), "now": now})


def insert(
    ctx: Context, session: Session, program: Program, run_id: UUID, going: Sequence[Handing], now: datetime
) -> None:
    """Write the messages as `sending`, and their recipients as handed. Should this worker be killed, they are looked
    for when the provider has had time to list them."""
    if not going:
        return
    # In one order, as members' rows are locked by their foreign keys.
    rows = sorted(going, key=lambda one: one.member_id)
    values = {
        "ids": [one.message_id for one in rows],
        "members": [one.member_id for one in rows],
        "numbers": [one.number for one in rows],
        "phones": [one.outgoing.to for one in rows],
        "languages": [one.language for one in rows],
        "parts": [one.parts for one in rows],
        "costs": [one.cost_micro for one in rows],
    }
    given = {
        "program": program.id,
        "run": str(run_id),
        "template": sms_texts.CAMPAIGN,
        "provider": ctx.sms.name,
        "now": now,
        "ask_at": now + sms_sending.grace(ctx),
    }
    session.execute(text(_INSERT), values | given)
    session.execute(text(_HAND), {"ids": values["ids"], "numbers": values["numbers"], "now": now})


def record(ctx: Context, outcomes: Sequence[HandedOver], program_id: UUID, again_at: datetime) -> None:
    """Write what became of a batch. Those that were not taken are planned again, from `again_at` on: nothing is left of
    the try, as nobody has seen anything of it."""
    if not outcomes:
        return
    back = [one.handing for one in outcomes if one.not_taken]
    errors = [(one.handing, one.result) for one in outcomes if isinstance(one.result, SmsError) and not one.not_taken]
    with ctx.sessions.begin() as session:
        freed = _take_back(session, back, again_at)  # first, because it locks recipients: they go before messages
        _accept(ctx, session, outcomes)
        _note_errors(ctx, session, errors)
        freed += [one for one, error in errors if error.permanent]
        program = session.get_one(Program, program_id)
        for begun_at in {one.begun_at for one in freed}:
            same = [one for one in freed if one.begun_at == begun_at]
            sms_spending.change_day(
                session,
                program,
                begun_at,
                messages=-len(same),
                parts=-sum(one.parts for one in same),
                cost_micro=-sum(one.cost_micro for one in same),
            )
        if any(isinstance(one.result, SmsError) and one.result.reason is Reason.PUMPING for one in outcomes):
            sms_rules.stop(session, program_id)
    _note_single(ctx, outcomes)


def _accept(ctx: Context, session: Session, outcomes: Sequence[HandedOver]) -> None:
    accepted = [
        (one.handing.message_id, one.result.provider_id) for one in outcomes if isinstance(one.result, Accepted)
    ]
    if accepted:
        ask_at = clock.now() + sms_sending.ASK_AFTER if ctx.sms.fetches_messages else None
        ids, sids = zip(*accepted, strict=True)
        session.execute(text(_ACCEPT), {"ids": list(ids), "sids": list(sids), "ask_at": ask_at})


def _note_errors(ctx: Context, session: Session, errors: Sequence[tuple[Handing, SmsError]]) -> None:
    """Failed for good, or nobody knows: then the provider is asked when it has had time to list the message."""
    if errors:
        grace: timedelta = sms_sending.grace(ctx)
        values = {
            "ids": [one.message_id for one, _ in errors],
            "states": [State.UNKNOWN.value if error.unknown else State.FAILED.value for _, error in errors],
            "reasons": [error.reason.value for _, error in errors],
            "codes": [error.code[:40] for _, error in errors],
            "ask_at": [one.begun_at + grace if error.unknown else None for one, error in errors],
        }
        session.execute(text(_ERRORS), values)


def _take_back(session: Session, back: Sequence[Handing], again_at: datetime) -> list[Handing]:
    """Forget these tries, unless somebody has taken the message over meanwhile. Returns those that were forgotten."""
    if not back:
        return []
    given = {"ids": [one.message_id for one in back], "begun": [one.begun_at for one in back]}
    session.execute(text(_LOCK_RECIPIENTS), {"ids": given["ids"]})
    ours = set(session.scalars(text(_STILL_OURS), given))
    session.execute(text(_PLAN_AGAIN), {"ids": list(ours), "again_at": again_at})
    session.execute(text(_FORGET), {"ids": list(ours)})
    return [one for one in back if one.message_id in ours]


def _note_single(ctx: Context, outcomes: Sequence[HandedOver]) -> None:
    """What few messages have: the provider counts other parts than we, or knows that somebody has opted out."""
    for one in outcomes:
        match one.result:
            case Accepted(parts=int(parts)) if parts != one.handing.parts:
                sms_sending.advance(ctx, one.handing.message_id, State.ACCEPTED, parts=parts)
            case SmsError(opted_out=True):
                sms_sending.record_opt_out(ctx, one.handing.message_id)


_SKIP = """UPDATE campaign_recipients AS one SET state = 'skipped', reason = found.reason
    FROM unnest(CAST(:numbers AS bigint[]), CAST(:reasons AS text[])) AS found (number, reason)
    WHERE one.number = found.number"""
_HAND_CARDS = """UPDATE campaign_recipients SET state = 'handed', handed_at = :now
    WHERE number = ANY(CAST(:numbers AS bigint[]))"""
_INSERT = """INSERT INTO sms_messages (id, program_id, member_id, direction, phone, language, template, params, text,
        marketing, flagged, state, provider, parts, cost_micro, reason, code, created_at, sent_at, ask_at)
    SELECT new.id, :program, new.member_id, 'out', new.phone, new.language, :template,
        jsonb_build_object('run', CAST(:run AS text), 'recipient', new.number), '', true, false, 'sending', :provider,
        new.parts, new.cost, '', '', :now, :now, :ask_at
    FROM unnest(CAST(:ids AS uuid[]), CAST(:members AS uuid[]), CAST(:numbers AS bigint[]), CAST(:phones AS text[]),
        CAST(:languages AS text[]), CAST(:parts AS int[]), CAST(:costs AS bigint[]))
        AS new (id, member_id, number, phone, language, parts, cost)"""
_HAND = """UPDATE campaign_recipients AS one SET state = 'handed', handed_at = :now, message_id = new.id
    FROM unnest(CAST(:numbers AS bigint[]), CAST(:ids AS uuid[])) AS new (number, id) WHERE one.number = new.number"""
# Reports may have come before the answer: what is known already stays.
_ACCEPT = """UPDATE sms_messages AS one
    SET state = CASE WHEN one.state IN ('queued', 'sending', 'unknown') THEN 'accepted' ELSE one.state END,
        provider_id = coalesce(one.provider_id, new.sid),
        ask_at = CASE WHEN one.state IN ('delivered', 'undelivered', 'failed') THEN one.ask_at
                      ELSE CAST(:ask_at AS timestamptz) END
    FROM unnest(CAST(:ids AS uuid[]), CAST(:sids AS text[])) AS new (id, sid) WHERE one.id = new.id"""
_ERRORS = """UPDATE sms_messages AS one
    SET state = new.state, reason = new.reason, code = new.code, ask_at = new.ask_at,
        parts = CASE WHEN new.state = 'failed' THEN NULL ELSE one.parts END,
        cost_micro = CASE WHEN new.state = 'failed' THEN NULL ELSE one.cost_micro END
    FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:reasons AS text[]), CAST(:codes AS text[]),
        CAST(:ask_at AS timestamptz[])) AS new (id, state, reason, code, ask_at)
    WHERE one.id = new.id AND one.state = 'sending'"""
_LOCK_RECIPIENTS = """SELECT FROM campaign_recipients WHERE message_id = ANY(CAST(:ids AS uuid[]))
    ORDER BY number FOR UPDATE"""
_STILL_OURS = """SELECT one.id FROM sms_messages AS one
    JOIN unnest(CAST(:ids AS uuid[]), CAST(:begun AS timestamptz[])) AS tried (id, begun)
        ON tried.id = one.id AND tried.begun = one.sent_at
    WHERE one.state = 'sending' FOR UPDATE OF one"""
_PLAN_AGAIN = """UPDATE campaign_recipients
    SET state = 'planned', handed_at = NULL, message_id = NULL, due_at = :again_at
    WHERE message_id = ANY(CAST(:ids AS uuid[]))"""
_FORGET = "DELETE FROM sms_messages WHERE id = ANY(CAST(:ids AS uuid[]))"
