"""How many stamps a purchase earns on a card."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.loyalty.stamps import MOST_STAMPS_AT_ONCE, Obstacle, StampRules, by_hand, by_receipt, product_key

AT = datetime(2027, 3, 1, 12, tzinfo=UTC)
HELSINKI = "Europe/Helsinki"


def rules(*products: str, per_minor: int | None = None, smallest: int = 0) -> StampRules:
    keys = frozenset(product_key(product) for product in products)
    return StampRules(10, HELSINKI, smallest_purchase_minor=smallest, products=keys, per_minor=per_minor)


def line(name: str, amount_minor: int | None = None, quantity: str = "", product: str = "") -> dict[str, object]:
    said = {"name": name, "amount_minor": amount_minor, "quantity": quantity, "product": product}
    return {field: value for field, value in said.items() if value not in ("", None)}


LUNCH = [line("Lunch", 1190, "2", "L-1"), line("COFFEE", 350), line("Coffee  ", 350), line("Discount", -100)]


@pytest.mark.parametrize(
    ("card", "amount_minor", "lines", "expected"),
    [
        (rules(), 350, (), (1, None)),
        (rules(), None, (), (1, None)),
        (rules(smallest=300), 299, (), (0, Obstacle.PURCHASE_TOO_SMALL)),
        (rules(smallest=300), 300, (), (1, None)),
        (rules(), 2990, LUNCH, (1, None)),
        (rules("coffee"), 2990, LUNCH, (2, None)),
        (rules("Lunch"), 2990, LUNCH, (2, None)),
        (rules("l-1"), 2990, LUNCH, (2, None)),
        (rules("Coffee", "Lunch"), 2990, LUNCH, (4, None)),
        (rules("Discount"), 2990, LUNCH, (0, Obstacle.OTHER_PRODUCTS)),
        (rules("Tea"), 2990, LUNCH, (0, Obstacle.OTHER_PRODUCTS)),
        (rules("Coffee"), 350, (), (0, Obstacle.OTHER_PRODUCTS)),
        (rules("ΚΑΦΈΣ"), 350, [line("καφές", 350)], (1, None)),
        (rules("Fish"), 900, [line("Fish", 900, "0.350")], (1, None)),
        (rules("Fish"), 2900, [line("Fish", 2900, "2.9")], (2, None)),
        (rules("Cup"), 0, [line("Cup", -300, "-2"), line("Cup", 450, "3")], (1, None)),
        (rules("Cup"), 0, [line("Cup", -300, "-2")], (0, Obstacle.OTHER_PRODUCTS)),
        (rules("Nail"), 900, [line("Nail", 900, "5000")], (MOST_STAMPS_AT_ONCE, None)),
        (rules(per_minor=1000), 999, (), (0, Obstacle.PURCHASE_TOO_SMALL)),
        (rules(per_minor=1000), 2999, (), (2, None)),
        (rules(per_minor=1000), 10**9, (), (MOST_STAMPS_AT_ONCE, None)),
        (rules("Coffee", per_minor=300), 2990, LUNCH, (2, None)),
        (rules("Lunch", per_minor=1000), 2990, LUNCH, (1, None)),
        (rules("Lunch", per_minor=2000), 2990, LUNCH, (0, Obstacle.PURCHASE_TOO_SMALL)),
        (rules("Lunch", per_minor=100), 500, [line("Lunch", 1190)], (5, None)),  # paid in part with a voucher
        (rules("Lunch", per_minor=100), 500, [line("Lunch")], (0, Obstacle.PURCHASE_TOO_SMALL)),
    ],
)
def test_a_receipt_earns_by_purchase_by_piece_or_by_amount(
    card: StampRules, amount_minor: int | None, lines: list[dict[str, object]], expected: tuple[int, Obstacle | None]
) -> None:
    assert expected == by_receipt(card, amount_minor, lines, AT)


@pytest.mark.parametrize(
    ("card", "count", "amount_minor", "expected"),
    [
        (rules(), 3, 100, 3),
        (rules(per_minor=1000), 3, None, 3),
        (rules(per_minor=1000), 3, 1999, 1),
        (rules(per_minor=1), 1, 1999, MOST_STAMPS_AT_ONCE),
    ],
)
def test_a_cashier_counts_the_stamps_unless_the_card_counts_by_the_amount(
    card: StampRules, count: int, amount_minor: int | None, expected: int
) -> None:
    assert expected == by_hand(card, count, amount_minor)


LINES = st.lists(
    st.builds(
        line,
        st.sampled_from(["Coffee", "Lunch", "Cake"]),
        st.none() | st.integers(-10_000, 10_000),
        st.sampled_from(["", "1", "2.5", "-1", "1e9", "NaN", "x", "0"]),
    ),
    max_size=8,
)


@given(LINES, st.integers(0, 10**7), st.none() | st.integers(1, 5000), st.integers(0, 3000), st.booleans())
def test_no_receipt_earns_less_than_nothing_or_more_than_a_till_may_give(
    lines: list[dict[str, object]], amount_minor: int, per_minor: int | None, smallest: int, for_coffee: bool
) -> None:
    card = rules(*(["Coffee"] if for_coffee else []), per_minor=per_minor, smallest=smallest)
    count, why = by_receipt(card, amount_minor, lines, AT)
    assert 0 <= count <= MOST_STAMPS_AT_ONCE
    assert (count == 0) == (why is not None)
    if per_minor is not None:
        assert count * per_minor <= amount_minor
    assert (count, why) == by_receipt(card, amount_minor, lines[::-1], AT)
