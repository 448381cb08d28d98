"""Rewards given to a member by hand, and taken back."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import select

from app import clock
from app.db.ledger import LedgerEntry, Reward
from app.db.people import Member
from app.db.programs import Program
from app.i18n import N_
from app.loyalty.ledger import Kind, Unit
from app.services import credit_rights, rewards, till
from app.services.audit import record
from app.services.card_news import announce
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader, chosen_id
from app.services.ledger_book import occasion
from app.services.membership import usable
from app.services.saved_answers import Answer, fingerprint, once
from app.services.settling import settle
from app.services.till import balance_after


def give(ctx: Context, actor: Actor, member_id: UUID, form: Mapping[str, str], *, key: str) -> tuple[Answer, bool]:
    """Give a member a reward: `type_id`, and a `reason` for the staff. Who may give credit by hand may do this.

    Returns {reward_id, entry_id, member_id, …} as app.services.till.balance_after, and whether this repeats an earlier
    answer. Raises InvalidForm, Refused: not-allowed, member-not-found, member-blocked, member-left,
    idempotency-key-reused.
    """
    credit_rights.require_giving(actor)
    now = clock.now()
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        reader = FormReader(form)
        reason = reader.line("reason", 120)
        type_ = rewards.to_give(session, program, chosen_id(form.get("type_id", "")), now)
        if type_ is None:
            reader.wrong("type_id", "unknown-choice", N_("Please choose one from the list."))
        if reader.errors or type_ is None:
            raise InvalidForm(reader.errors)
        kind = type_
        asked = fingerprint("reward.give", {"member_id": member_id, "type_id": kind.id, "reason": reason})

        def act() -> Answer:
            member = usable(session, actor, Member.id == member_id)
            settle(session, member, now)
            what = occasion(actor, now)
            reward = rewards.issue(session, program, member, what, kind, Kind.GRANT)
            reward.reason = reason
            announce(session, program, member, now, [reward])
            record(session, actor, "reward.given", reward.id)
            return balance_after(program, member, what.operation_id, [reward]) | {"reward_id": str(reward.id)}

        return once(session, actor, key, asked, act)


def take_back(ctx: Context, actor: Actor, reward_id: UUID, *, key: str) -> tuple[Answer, bool]:
    """Take back a reward that was given by hand or by a campaign, if it was not used; managers only.

    Raises Refused: not-allowed, reward-not-found, reward-used.
    """
    if not actor.may_manage:
        raise Refused("not-allowed", N_("Only a manager may take a reward back. Ask one."), status=403)
    with ctx.sessions() as session:
        operation_id = session.scalar(
            select(LedgerEntry.operation_id).where(
                LedgerEntry.reward_id == reward_id,
                LedgerEntry.program_id == actor.program_id,
                LedgerEntry.unit == Unit.REWARD,
                LedgerEntry.kind == Kind.GRANT,
                LedgerEntry.id == LedgerEntry.operation_id,  # an act of its own: nothing else goes back with it
            )
        )
    if operation_id is None:
        raise Refused("reward-not-found", N_("There is no such reward."), status=404)
    return till.undo(ctx, actor, operation_id, key=key)


def given_alone(ctx: Context, actor: Actor, member_id: UUID) -> dict[UUID, str]:
    """The member's rewards that can be taken back by themselves, with the reason for which each was given."""
    with ctx.sessions() as session:
        rows = session.execute(
            select(Reward.id, Reward.reason)
            .join(LedgerEntry, LedgerEntry.reward_id == Reward.id)
            .where(
                Reward.program_id == actor.program_id,
                Reward.member_id == member_id,
                LedgerEntry.kind == Kind.GRANT,
                LedgerEntry.id == LedgerEntry.operation_id,
            )
        )
        return {row.id: row.reason for row in rows}
