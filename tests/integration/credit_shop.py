"""What tests of credit do over and over: give it, use it, take it back, and look at what there is."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest

from app import clock
from app.db.credit import CodeGroup, Credit, CreditSource
from app.db.people import Role
from app.db.programs import Program
from app.loyalty.credit import day_of, validity
from app.loyalty.ledger import Kind, Unit
from app.services import credit_taking, credit_use, credit_views, credits, doctoring, members, program_rules, till
from app.services.errors import InvalidForm, Refused
from app.services.ledger_book import occasion, write
from app.services.views import CreditView, MemberView
from tests.factories import Shop

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
FORM = {"amount": "12,50", "last_day": "2027-03-31", "reason": "Sorry for the wait"}
RULES = {"partial_use": "on", "code_on_card": "", "undo_hours": "72", "attach_days": "14"}
SetClock = Callable[[datetime], None]


def grant(shop: Shop, member: MemberView, **form: str) -> UUID:
    """Give credit, and return its id."""
    answer, _ = credits.grant(shop.ctx, shop.owner, member.id, FORM | form, key=str(uuid4()))
    return UUID(answer["credit_id"])


def use(shop: Shop, member: MemberView, bill_minor: int) -> UUID:
    """Pay with credit by the card, and return the act's id."""
    answer, _ = credit_use.use(
        shop.ctx, shop.cashier, member.id, bill_minor=bill_minor, card_code=member.card_code, key=str(uuid4())
    )
    return UUID(answer["entry_id"])


def undo(shop: Shop, operation_id: UUID) -> dict[str, object]:
    return till.undo(shop.ctx, shop.actor(Role.MANAGER), operation_id, key=str(uuid4()))[0]


def now_of(shop: Shop, member: MemberView) -> MemberView:
    return members.by_id(shop.ctx, shop.cashier, member.id)


def credit_of(shop: Shop, credit_id: UUID) -> Credit:
    with shop.ctx.sessions() as session:
        return session.get_one(Credit, credit_id)


def held(shop: Shop, member: MemberView) -> list[CreditView]:
    return credit_views.of_member(shop.ctx, shop.owner, member.id)


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refusal:
        act()
    return refusal.value.kind


def faults(shop: Shop, **form: str) -> dict[str, str]:
    with pytest.raises(InvalidForm) as invalid:
        grant(shop, shop.member(9), **form)
    return {field: error.kind for field, error in invalid.value.errors.items()}


def assert_books_agree(shop: Shop) -> None:
    assert [] == doctoring.differences(shop.ctx)
    assert [] == doctoring.credit_differences(shop.ctx)


def group_credit(shop: Shop, amount_minor: int = 500, last: date = date(2027, 3, 31)) -> UUID:
    """A coupon of a group, which has no member."""
    valid_from, expires_at = validity(day_of(clock.now(), "Europe/Helsinki"), last, "Europe/Helsinki")
    with shop.ctx.sessions.begin() as session:
        group = CodeGroup(
            program_id=shop.program.id,
            name="Staff of Acme",
            amount_minor=amount_minor,
            valid_from=valid_from,
            expires_at=expires_at,
            created_at=clock.now(),
        )
        session.add(group)
        session.flush()
        credit = Credit(
            program_id=shop.program.id,
            group_id=group.id,
            source=CreditSource.GROUP,
            amount_minor=amount_minor,
            balance_minor=amount_minor,
            valid_from=valid_from,
            expires_at=expires_at,
            granted_at=clock.now(),
        )
        session.add(credit)
        session.flush()
        what = occasion(shop.owner, clock.now())
        write(session, None, what, Unit.CREDIT, Kind.GRANT, amount_minor, credit_id=credit.id)
        return credit.id


def take_from_group(shop: Shop, credit_id: UUID, bill_minor: int) -> UUID | None:
    with shop.ctx.sessions.begin() as session:
        program = session.get_one(Program, shop.program.id)
        rules = program_rules.within(session, program.id)
        what = occasion(shop.cashier, clock.now(), amount_minor=bill_minor)
        taken = credit_taking.take(session, program, credit_id, None, what, bill_minor, rules)
        return what.operation_id if taken else None
