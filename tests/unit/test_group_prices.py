"""Group prices: never more than the list price, the product's own before that of everything, and the lowest of all."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.loyalty.group_prices import EVERYTHING, Price, best

VIP, LOCALS = UUID(int=1), UUID(int=2)
products = st.sampled_from((EVERYTHING, "coffee", "bun"))
groups = st.sampled_from((VIP, LOCALS))
prices = st.one_of(
    st.builds(lambda group, product, price: Price(group, product, price), groups, products, st.integers(0, 2000)),
    st.builds(lambda group, product, off: Price(group, product, None, off), groups, products, st.integers(1, 10_000)),
)
lists = st.lists(prices, max_size=6, unique_by=lambda price: (price.group_id, price.product))


@given(lists, products, st.integers(0, 10**6))
def test_nobody_pays_more_than_the_list_price_or_less_than_nothing(known, product, listed):
    paid, _ = best(known, product, listed)
    assert 0 <= paid <= listed


@given(lists, products, st.integers(0, 10**6), groups)
def test_being_in_one_more_group_costs_nothing(known, product, listed, group):
    others = [price for price in known if price.group_id != group]
    assert best(known, product, listed)[0] <= best(others, product, listed)[0]


@given(lists, st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_the_order_of_prices_does_not_matter(known, listed, random):
    assert best(known, "bun", listed) == best(random.sample(known, len(known)), "bun", listed)


def test_a_products_own_price_stands_before_that_of_everything():
    known = [Price(VIP, EVERYTHING, None, 5000), Price(VIP, "coffee", 250)]
    assert (250, known[1]) == best(known, "coffee", 300)
    assert (150, known[0]) == best(known, "bun", 300)


def test_what_comes_off_is_rounded_down():
    known = [Price(VIP, EVERYTHING, None, 1000)]
    assert (90, known[0]) == best(known, "bun", 99)
    assert (9, None) == best(known, "bun", 9)


def test_a_price_above_the_list_price_is_no_price():
    assert (200, None) == best([Price(VIP, "coffee", 250)], "coffee", 200)
