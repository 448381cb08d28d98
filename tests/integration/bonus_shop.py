"""What tests of bonus do over and over: set it up, buy, pay, undo, and look at what there is."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.db.bonus import BonusRate, BonusThreshold
from app.db.people import Role
from app.db.rewards import RewardType
from app.services import bonus_rules, bonus_use, doctoring, members, purchases, till
from app.services.errors import InvalidForm, Refused
from app.services.purchases import PurchaseRequest
from app.services.views import MemberView
from tests.factories import Shop

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
SetClock = Callable[[datetime], None]
MONEY = {"kind": "money", "share": "10"}
POINTS = {
    "kind": "points",
    "points": "1",
    "per": "1",
    "name_en_one": "milkshake",
    "name_en_other": "milkshakes",
    "name_fi_one": "pirtelö",
    "name_fi_other": "pirtelöä",
    "name_ru_one": "коктейль",
    "name_ru_few": "коктейля",
    "name_ru_many": "коктейлей",
    "name_ru_other": "коктейля",
    "name_fa_one": "میلک‌شیک",
    "name_fa_other": "میلک‌شیک",
}


def set_bonus(shop: Shop, form: dict[str, str] | None = None, **more: str) -> None:
    """Ten percent as money, or what the form says."""
    bonus_rules.save(shop.ctx, shop.owner, (form or MONEY) | more)


def add_rate(shop: Shop, rate: int, **values: object) -> None:
    with shop.ctx.sessions.begin() as session:
        session.add(BonusRate(program_id=shop.program.id, rate=rate, **values))


def add_threshold(
    shop: Shop, threshold: int, *, extra: int = 0, reward: UUID | None = None, every: bool = False
) -> None:
    row = BonusThreshold(
        program_id=shop.program.id, threshold=threshold, extra=extra, reward_type_id=reward, every=every
    )
    with shop.ctx.sessions.begin() as session:
        session.add(row)


def reward_type(shop: Shop, name: str = "Cake", *, price: int | None = None) -> UUID:
    row = RewardType(program_id=shop.program.id, name=name, points_price=price, created_at=NOON)
    with shop.ctx.sessions.begin() as session:
        session.add(row)
        session.flush()
        return row.id


def buy(shop: Shop, member: MemberView, amount_minor: int, **more: Any) -> dict[str, Any]:
    """A purchase as till software posts it."""
    request = PurchaseRequest(amount_minor, member_id=member.id, **more)
    return purchases.record(shop.ctx, shop.api, request, key=str(uuid4()))[0]


def undo_purchase(shop: Shop, bought: dict[str, Any]) -> dict[str, Any]:
    return purchases.undo(shop.ctx, shop.owner, UUID(bought["purchase_id"]), key=str(uuid4()))[0]


def pay(shop: Shop, member: MemberView, bill_minor: int, wanted_minor: int | None = None) -> dict[str, Any]:
    return bonus_use.pay(
        shop.ctx,
        shop.cashier,
        member.id,
        bill_minor=bill_minor,
        wanted_minor=wanted_minor,
        card_code=member.card_code,
        key=str(uuid4()),
    )[0]


def undo(shop: Shop, answer: dict[str, Any]) -> dict[str, Any]:
    return till.undo(shop.ctx, shop.actor(Role.MANAGER), UUID(answer["entry_id"]), key=str(uuid4()))[0]


def bonus_of(shop: Shop, member: MemberView) -> int:
    return members.by_id(shop.ctx, shop.cashier, member.id).bonus


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refusal:
        act()
    return refusal.value.kind


def faults(act: Callable[[], object]) -> dict[str, str]:
    with pytest.raises(InvalidForm) as invalid:
        act()
    return {field: error.kind for field, error in invalid.value.errors.items()}


def assert_books_agree(shop: Shop) -> None:
    assert [] == doctoring.differences(shop.ctx)
