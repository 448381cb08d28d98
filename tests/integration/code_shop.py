"""Credits with codes, for tests: of members, and of a company's group."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app import clock
from app.db.credit import CodeGroup, Credit, CreditSource
from app.db.people import Member
from app.loyalty.ledger import Kind, Unit
from app.services import credit_codes, ledger_book
from app.services.context import Context
from tests.factories import Shop

NOON = datetime(2027, 3, 1, 10, tzinfo=UTC)


@dataclass(frozen=True)
class Coupon:
    credit_id: UUID
    code: str


def give(
    ctx: Context,
    shop: Shop,
    member_id: UUID,
    amount_minor: int = 1000,
    *,
    valid: tuple[datetime, datetime] | None = None,
    draw_one: credit_codes.Draw = credit_codes.of_member,
) -> Coupon:
    """Credit of a member with a code."""
    with ctx.sessions.begin() as session:
        member = session.get_one(Member, member_id, with_for_update=True)
        credit = _credit(shop, amount_minor, valid)
        credit.member_id, credit.source = member.id, CreditSource.HAND
        _write(session, shop, member, credit)
        return Coupon(credit.id, credit_codes.code_for(ctx, session, credit, draw_one))


def give_group(
    ctx: Context,
    shop: Shop,
    count: int,
    amount_minor: int = 1000,
    *,
    name: str = "Virtanen Ltd",
    valid: tuple[datetime, datetime] | None = None,
    draw_one: credit_codes.Draw | None = None,
) -> list[Coupon]:
    """Coupons of a group, without members."""
    with ctx.sessions.begin() as session:
        credits = [_credit(shop, amount_minor, valid) for _ in range(count)]
        group = CodeGroup(
            id=uuid7(),
            program_id=shop.program.id,
            name=name,
            amount_minor=amount_minor,
            valid_from=credits[0].valid_from,
            expires_at=credits[0].expires_at,
            created_at=clock.now(),
        )
        session.add(group)
        session.flush()
        for credit in credits:
            credit.group_id, credit.source = group.id, CreditSource.GROUP
        codes = credit_codes.issue_many(ctx, session, credits, draw_one)
        for credit in credits:
            _write(session, shop, None, credit)
        return [Coupon(credit.id, code) for credit, code in zip(credits, codes, strict=True)]


def drawn(codes: Sequence[str]) -> credit_codes.Draw:
    """A drawing that gives these codes in turn, the last one for ever."""
    left = list(codes)
    return lambda _pepper, _program_id: (left.pop(0) if len(left) > 1 else left[0], None)


def _credit(shop: Shop, amount_minor: int, valid: tuple[datetime, datetime] | None) -> Credit:
    now = clock.now()
    valid_from, expires_at = valid or (now - timedelta(minutes=1), now + timedelta(days=30))
    return Credit(
        id=uuid7(),
        program_id=shop.program.id,
        amount_minor=amount_minor,
        balance_minor=amount_minor,
        valid_from=valid_from,
        expires_at=expires_at,
        granted_at=now,
    )


def _write(session: Session, shop: Shop, member: Member | None, credit: Credit) -> None:
    session.add(credit)
    session.flush()
    act = ledger_book.occasion(shop.owner, clock.now())
    ledger_book.write(
        session,
        member,
        act,
        Unit.CREDIT,
        Kind.GRANT,
        credit.amount_minor,
        expires_at=credit.expires_at,
        credit_id=credit.id,
    )
