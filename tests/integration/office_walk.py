"""Walking through all that a shop's own staff can open: a shop with one of everything, and its pages."""

from collections.abc import Iterator
from http import HTTPStatus

from flask import Flask
from flask.testing import FlaskClient

from app.db.joining import QuestionKind
from app.services import join_questions, member_groups, members, segments, stamp_cards, till
from tests.factories import Shop
from tests.integration import bonus_shop, reward_shop, strangers, tier_shop
from tests.integration.strangers import Stranger

FOR_STAFF = ("office.", "till.")
SEGMENT = {"name": "All", "where-kind": "all", "where-0-kind": "language", "where-0-language": "en"}


def fill(shop: Shop) -> None:
    """One of every kind of thing that a form lets choose."""
    ctx, owner = shop.ctx, shop.owner
    kind = reward_shop.make_type(shop, points_price="", name="Cake")
    stamp_cards.save(ctx, owner, {"name": "Lunch", "stamps_needed": "8", "reward_name": "Free lunch"})
    tier_shop.set_tiers(shop)
    group_id = member_groups.save(ctx, owner, {"name": "VIP"})
    segments.save(ctx, owner, SEGMENT)
    bonus_shop.set_bonus(shop)
    join_questions.add(ctx, owner, QuestionKind.TEXT, {"text_en": "Your dog's name?"})
    anna = shop.member(50)
    member_groups.add(ctx, owner, group_id, anna.card_code)
    reward_shop.give(shop, anna, kind)
    till.give_stamps(ctx, shop.cashier, anna.card_code)


def own_words(shop: Shop, number: int) -> dict[str, str]:
    """What shows that we are a customer of our own programme: a new member's link, and what their phone shows."""
    anna = shop.member(number)
    apple = shop.ctx.derived_token("apple-pass", anna.card_id, anna.link_generation)
    return {"token": members.card_token(shop.ctx, anna), "slug": shop.program.slug, "apple": apple}


def pages(
    app: Flask, browser: FlaskClient, ours: Stranger, own: dict[str, str], areas: tuple[str, ...] = FOR_STAFF
) -> Iterator[tuple[str, str]]:
    """Every page for staff (or of these areas), about what there is: its address and its text."""
    for rule in strangers.walked(app):
        if "GET" in strangers.methods(rule) and rule.endpoint.startswith(areas):
            for address in strangers.addresses(rule, ours, own):
                with browser.get(address) as page:
                    if page.status_code == HTTPStatus.OK and page.mimetype == "text/html":
                        yield address, page.get_data(as_text=True)
