"""Bonus used at the till: money that pays a bill, or points that buy a reward."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import clock
from app.db.bonus import BonusKind
from app.db.people import Member
from app.db.programs import Program
from app.db.rewards import RewardType
from app.i18n import N_, translator
from app.loyalty.bonus import taking
from app.loyalty.ledger import Kind, Unit
from app.services import bonus_rules, guard, rewards, spending_proofs
from app.services.bought import LARGEST_PURCHASE_MINOR
from app.services.card_news import announce
from app.services.context import Actor, Context
from app.services.errors import Refused
from app.services.forms import plain_line
from app.services.ledger_book import Occasion, occasion, write
from app.services.membership import usable
from app.services.saved_answers import Answer, fingerprint, once
from app.services.settling import plan_next_expiry, settle
from app.services.till import balance_after, place_of


def pay(
    ctx: Context,
    actor: Actor,
    member_id: UUID,
    *,
    bill_minor: int,
    wanted_minor: int | None = None,
    proof: str = "",
    card_code: str = "",
    receipt_no: str = "",
    location: UUID | str | None = None,
    key: str | None = None,
) -> tuple[Answer, bool]:
    """Take bonus off a bill: `wanted_minor`, or as much as there is; never more than the bill or the balance.

    Returns {entry_id, member_id, used_minor, left_minor}, and whether this repeats an earlier answer. Raises Refused:
    proof-needed, proof-not-valid, no-bonus, bonus-is-points, amount-needed, invalid-amount, location-not-found,
    member-not-found, member-blocked, member-left, guard-blocked, idempotency-key-reused.
    """
    request = {"member_id": member_id, "bill_minor": bill_minor, "wanted_minor": wanted_minor}
    request |= {"receipt_no": receipt_no, "location": location}

    def use(session: Session, program: Program, member: Member, now: datetime, place: UUID | None) -> Answer:
        _check_money(bonus_rules.within(session, program.id).kind)
        _check_bill(bill_minor, wanted_minor)
        used = taking(member.bonus, bill_minor, wanted_minor)
        if not used:
            raise Refused("no-bonus", N_("This customer has no bonus that can be used now."), status=409)
        guard.watch(ctx, session, actor, guard.use(member.id))
        act = occasion(actor, now, amount_minor=bill_minor, receipt_no=plain_line(receipt_no, 60), location_id=place)
        _take(session, program, member, act, Kind.REDEEM, used)
        announce(session, program, member, now, news=_used(session, program, member, used))
        return {
            "entry_id": str(act.operation_id),
            "member_id": str(member.id),
            "used_minor": used,
            "left_minor": member.bonus,
        }

    return _spend(ctx, actor, member_id, use, ("bonus.use", request), (proof, card_code, location, key))


def buy(
    ctx: Context,
    actor: Actor,
    member_id: UUID,
    reward_type_id: UUID,
    *,
    proof: str = "",
    card_code: str = "",
    location: UUID | str | None = None,
    key: str | None = None,
) -> tuple[Answer, bool]:
    """Give a reward for its price in points. It is then used like any other.

    Returns what till.balance_after does and {used}, and whether this repeats an earlier answer. Raises Refused:
    proof-needed, proof-not-valid, reward-not-for-points, too-few-points, location-not-found, member-not-found,
    member-blocked, member-left, guard-blocked, idempotency-key-reused.
    """
    request = {"member_id": member_id, "reward_type_id": reward_type_id, "location": location}

    def use(session: Session, program: Program, member: Member, now: datetime, place: UUID | None) -> Answer:
        kind = bonus_rules.within(session, program.id).kind
        type_ = rewards.to_give(session, program, reward_type_id, now)
        if type_ is None or not type_.points_price or kind is not BonusKind.POINTS:
            raise Refused(
                "reward-not-for-points", N_("This reward is not given for points. Reload the page."), status=404
            )
        if member.bonus < type_.points_price:
            raise Refused(
                "too-few-points",
                N_("Points needed: %(price)s. The customer has %(have)s."),
                {"price": type_.points_price, "have": member.bonus},
                status=409,
            )
        guard.watch(ctx, session, actor, guard.use(member.id))
        act = occasion(actor, now, location_id=place)
        _take(session, program, member, act, Kind.CONVERT, type_.points_price)
        issued = [rewards.issue(session, program, member, act, type_, Kind.CONVERT)]
        announce(session, program, member, now, issued)
        return balance_after(program, member, act.operation_id, issued) | {"used": type_.points_price}

    return _spend(ctx, actor, member_id, use, ("bonus.buy", request), (proof, card_code, location, key))


class Offer(NamedTuple):
    """A reward that is given for so many points."""

    id: UUID
    name: str
    points: int


def offers(ctx: Context, program_id: UUID) -> list[Offer]:
    """The rewards that are given for points, the cheapest first; none while bonus is not points."""
    now = clock.now()
    with ctx.sessions() as session:
        if bonus_rules.within(session, program_id).kind is not BonusKind.POINTS:
            return []
        program = session.get_one(Program, program_id)
        sold = select(RewardType).where(
            RewardType.program_id == program_id, RewardType.active, RewardType.points_price.is_not(None)
        )
        found = session.scalars(sold.order_by(RewardType.points_price, RewardType.name)).all()
        given = [row for row in found if rewards.to_give(session, program, row.id, now) is not None]
        return [Offer(row.id, row.name, row.points_price or 0) for row in given]


_Use = Callable[[Session, Program, Member, datetime, UUID | None], Answer]


def _spend(
    ctx: Context,
    actor: Actor,
    member_id: UUID,
    use: _Use,
    what: tuple[str, Mapping[str, object]],
    how: tuple[str, str, UUID | str | None, str | None],
) -> tuple[Answer, bool]:
    """One use, once, under the member's lock, by whoever has proof that the customer is there."""
    now = clock.now()
    proof, card_code, location, key = how
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)

        def act() -> Answer:
            place = place_of(session, actor, location)
            member = usable(session, actor, Member.id == member_id)
            spending_proofs.require(ctx, actor, member, proof=proof, card_code=card_code)
            settle(session, member, now)
            return use(session, program, member, now, place)

        return once(session, actor, key, fingerprint(*what), act)


def _take(session: Session, program: Program, member: Member, act: Occasion, kind: Kind, amount: int) -> None:
    write(session, member, act, Unit.BONUS, kind, -amount)
    if member.next_expiry_at is not None:
        plan_next_expiry(session, member)


def _check_money(kind: BonusKind) -> None:
    if kind is BonusKind.POINTS:
        raise Refused("bonus-is-points", N_("Points do not pay a bill. Give a reward for them instead."), status=409)
    if kind is BonusKind.OFF:
        raise Refused("no-bonus", N_("This programme gives no bonus. Choose first what it is."), status=409)


def _check_bill(bill_minor: int, wanted_minor: int | None) -> None:
    if bill_minor == 0:
        raise Refused("amount-needed", N_("Enter the amount of the bill."), field="amount_minor")
    if not 0 < bill_minor <= LARGEST_PURCHASE_MINOR:
        raise Refused("invalid-amount", N_("This amount cannot be right."), field="amount_minor")
    if wanted_minor is not None and not 0 < wanted_minor <= LARGEST_PURCHASE_MINOR:
        raise Refused("invalid-amount", N_("This amount cannot be right."), field="use_minor")


def _used(session: Session, program: Program, member: Member, used: int) -> str:
    """What the lock screen says of a bill that bonus has paid."""
    text = translator(member.language)
    naming = bonus_rules.naming(program, bonus_rules.within(session, program.id))
    shown = {"used": naming.amount(text, used), "left": naming.amount(text, member.bonus)}
    if not member.bonus:
        return text.gettext(N_("You used %(used)s of bonus"), used=shown["used"])
    return text.gettext(N_("You used %(used)s of bonus. Left: %(left)s"), **shown)
