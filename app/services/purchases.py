"""Purchases as till software posts them: whose they are, what they earn, and taking them back."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from app import clock
from app.db.people import Member
from app.db.programs import Program
from app.db.purchases import Purchase
from app.i18n import N_
from app.loyalty.guarding import Rule
from app.loyalty.stamps import Obstacle, not_started
from app.services import (
    earning,
    guard,
    purchase_book,
    receipts,
    referrals,
    stamp_checks,
    stamp_earning,
    stamp_rules,
    tiering,
    till,
    visit_earning,
)
from app.services.audit import record as audit
from app.services.bought import LARGEST_PURCHASE_MINOR, Bought, Earned
from app.services.card_news import announce
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import plain_line
from app.services.ledger_book import Occasion, occasion
from app.services.members import fetch
from app.services.purchase_holder import holder
from app.services.reversal import UNDO_WINDOW
from app.services.saved_answers import Answer, fingerprint, once
from app.services.settling import settle

CLOCK_AHEAD = timedelta(minutes=5)  # a till's clock may run so far ahead; the purchase is then of now
OLDEST_DAYS = 30

# Why a purchase earned no stamp, beside those of app.loyalty.stamps.Obstacle.
NOBODYS = "no-member"
WAITING = "waiting"
STOPPED = "guard-blocked"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a receipt. `quantity` is a decimal number in words; discounts have negative amounts."""

    name: str
    product: str = ""
    quantity: str = ""
    amount_minor: int | None = None
    warranty_months: int | None = None

    def kept(self) -> dict[str, object]:
        """As the database keeps it: only what was said."""
        said = {
            "name": plain_line(self.name, 120),
            "product": plain_line(self.product, 60),
            "quantity": self.quantity,
            "amount_minor": self.amount_minor,
            "warranty_months": self.warranty_months,
        }
        return {name: value for name, value in said.items() if value not in ("", None)}


@dataclass(frozen=True, slots=True)
class PurchaseRequest:
    """What a till tells of a purchase, as it was sent. At most one of `phone`, `card` and `member_id` says whose.

    `card` is a card code or an old card's number. Without `at` it is of now.
    """

    amount_minor: int
    phone: str | None = None
    card: str | None = None
    member_id: UUID | None = None
    receipt_no: str = ""
    at: datetime | None = None
    lines: Sequence[Line] = ()
    location: UUID | str | None = None
    currency: str = ""


def record(ctx: Context, actor: Actor, request: PurchaseRequest, *, key: str | None = None) -> tuple[Answer, bool]:
    """Keep a purchase, and give its stamp when it earns one.

    It waits under a phone number that is nobody's, or of someone who left. Returns {purchase_id, member_id, waiting,
    entry_id, given, no_stamp, stamps, stamps_needed, rewards, issued}, and whether this repeats an earlier answer.
    Raises InvalidForm (phone, at, currency, amount_minor) and Refused: member-not-found, member-blocked,
    unreadable-code, location-not-found, idempotency-key-reused.
    """
    now = clock.now()
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)

        def act() -> Answer:
            bought_at = _checked(program, request, now)
            place = till.place_of(session, actor, request.location)
            member, phone = holder(session, actor, program, request.member_id, request.card, request.phone)
            if phone and bought_at < purchase_book.waits_since(session, program.id, now):
                phone = ""
            receipt_no = plain_line(request.receipt_no, 60)
            what = occasion(actor, now, amount_minor=request.amount_minor, receipt_no=receipt_no, location_id=place)
            why = WAITING if phone else _nothing(ctx, session, program, member, what, bought_at)
            lines = [line.kept() for line in request.lines]
            purchase = purchase_book.write(session, what, member, phone=phone, at=bought_at, lines=lines)
            return _kept(ctx, session, program, member, what, why, purchase)

        return once(session, actor, key, fingerprint("purchase", asdict(request)), act)


def undo(ctx: Context, actor: Actor, purchase_id: UUID, *, key: str | None = None) -> tuple[Answer, bool]:
    """Take a purchase back, with the stamp that it earned.

    Raises Refused: purchase-not-found, already-undone, undo-too-late, reward-used, stamps-used.
    """
    now = clock.now()
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)

        def act() -> Answer:
            purchase = receipts.own(session, actor, purchase_id)
            if purchase.phone:
                purchase_book.lock_phone(session, program.id, purchase.phone)
                session.refresh(purchase)
            if purchase.operation_id is not None:
                undone = till.undo_within(ctx, session, program, actor, purchase.operation_id, now)
                return {"purchase_id": str(purchase.id)} | {name: undone[name] for name in _UNDONE}
            _take_back(session, actor, purchase, now)
            member = session.get(Member, purchase.member_id) if purchase.member_id else None
            return {
                "purchase_id": str(purchase.id),
                "entry_id": None,
                "member_id": str(member.id) if member else None,
                "stamps": member.stamps if member else None,
                "rewards": member.rewards if member else None,
                "bonus": member.bonus if member else None,
                "bonus_missing_minor": 0,
                "issued": [],
            }

        return once(session, actor, key, fingerprint("undo-purchase", {"purchase_id": purchase_id}), act)


def _checked(program: Program, request: PurchaseRequest, now: datetime) -> datetime:
    """When it was bought. Raises InvalidForm with all that is wrong."""
    wrong: dict[str, Refused] = {}
    if not 0 <= request.amount_minor <= LARGEST_PURCHASE_MINOR:
        wrong["amount_minor"] = Refused("invalid-amount", N_("This amount cannot be right."))
    if request.currency and request.currency.upper() != program.currency:
        wrong["currency"] = Refused(
            "wrong-currency",
            N_("This programme counts in %(currency)s. Send amounts in it."),
            {"currency": program.currency},
        )
    bought_at = request.at or now
    if bought_at > now + CLOCK_AHEAD:
        wrong["at"] = Refused(
            "invalid-moment",
            N_("This moment has not come yet. Set the till's clock: here it is %(now)s."),
            {"now": now.isoformat(timespec="seconds")},
        )
    elif bought_at < now - timedelta(days=OLDEST_DAYS):
        wrong["at"] = Refused(
            "invalid-moment",
            N_("This purchase is too old. Send purchases within %(days)s days."),
            {"days": OLDEST_DAYS},
        )
    if wrong:
        raise InvalidForm(wrong)
    return min(bought_at, now)


def _kept(
    ctx: Context,
    session: Session,
    program: Program,
    member: Member | None,
    what: Occasion,
    why: str | None,
    purchase: Purchase,
) -> Answer:
    """Give what it earns unless there is a reason `why` nothing, and tell what came of it."""
    earned = Earned()
    if member is not None:
        settle(session, member, what.at)
    if member is not None and why is None:
        amount_minor, lines = what.amount_minor or 0, purchase.lines or ()
        bought = Bought(purchase.at, amount_minor, lines)
        earned = earning.purchase(ctx, session, program, member, what, bought)
        if what.begun:
            purchase.operation_id = what.operation_id
            announce(session, program, member, what.at, earned.issued)
        if not earned.stamps:
            why = stamp_earning.why_none(program, amount_minor, lines, purchase.at)
    elif member is not None:
        tiering.review(session, program, member, what.at, tell=True)
    session.flush()
    shown = till.balance_after(program, member, what.operation_id, earned.issued) if member else _NO_BALANCE
    return {name: shown[name] for name in _NO_BALANCE} | {
        "purchase_id": str(purchase.id),
        "waiting": bool(purchase.phone),
        "entry_id": str(what.operation_id) if what.begun else None,
        "given": sum(earned.stamps.values()),
        "no_stamp": why,
        "stamps_needed": program.stamps_needed,
        "stamp_cards": stamp_checks.told(session, program, member, earned.stamps) if member else [],
        "bonus_given": earned.bonus,
    }


_NO_BALANCE: Answer = {"member_id": None, "stamps": None, "rewards": None, "bonus": None, "issued": []}
_UNDONE = ("entry_id", "member_id", "stamps", "rewards", "bonus", "bonus_missing_minor", "issued")


def _nothing(
    ctx: Context, session: Session, program: Program, member: Member | None, what: Occasion, bought_at: datetime
) -> str | None:
    """Why a purchase earns nothing at all."""
    if member is None:
        return NOBODYS
    if not_started(stamp_rules.rules_of(program, program), bought_at):
        return Obstacle.NOT_STARTED
    try:
        # A till that was cut off sends a day's receipts in a minute: only what one member gets can be odd.
        guard.watch(ctx, session, what.actor, guard.Act((Rule.MEMBER_STAMPS,), 1, member.id))
        guard.watch_receipt(ctx, session, what.actor, member.id, what.receipt_no)
    except Refused:
        return STOPPED  # the sale is a sale all the same
    return None


def _take_back(session: Session, actor: Actor, purchase: Purchase, now: datetime) -> None:
    """Undo a purchase of which the ledger tells nothing. The member's lock comes first, as it does everywhere."""
    member = None
    if purchase.member_id is not None:
        member = fetch(session, actor, Member.id == purchase.member_id, lock=True, erased=True)
    session.refresh(purchase, with_for_update=True)
    if purchase.undone_at is not None:
        raise Refused("already-undone", N_("This was undone already."), status=409)
    own = actor.scope in (purchase.staff_id, purchase.api_key_id)
    if not (actor.may_manage or (own and now - purchase.recorded_at <= UNDO_WINDOW)):
        raise Refused(
            "undo-too-late",
            N_("You can undo what you did yourself in the last %(minutes)s minutes. Ask a manager to undo this."),
            {"minutes": int(UNDO_WINDOW.total_seconds() // 60)},
            status=403,
        )
    purchase.undone_at, purchase.phone = now, ""
    if member is not None:
        purchase_book.find_last_visit(session, member.id)
        session.refresh(member, ["last_visit_at", "last_location_id"])
        program = session.get_one(Program, actor.program_id)
        visit_earning.mark_undone(session, purchase.id, now)
        referrals.purchase_undone(session, program, member.id, purchase.id, now)
        tiering.review(session, program, member, now, tell=True)
    audit(session, actor, "purchase.undone", purchase.id)
