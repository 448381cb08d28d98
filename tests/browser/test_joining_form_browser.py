"""The joining form in a browser: set by its owner, answered by customers and cashiers; accessible, and it fits."""

import os
import re
from uuid import UUID

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from app.db.joining import QuestionKind
from app.services import join_questions, join_rules, members
from tests.browser.conftest import Live, sign_in
from tests.factories import Shop

pytestmark = pytest.mark.browser

DRINK = {
    "required": "on",
    "text_en": "What do you drink?",
    "text_fa": "چه می‌نوشید؟",
    "choice_0_en": "Coffee",
    "choice_0_fa": "قهوه",
    "choice_1_en": "Tea",
    "choice_1_fa": "چای",
}


def set_up(shop: Shop) -> UUID:
    rules = {"asked_name": "required", "asked_birth_date": "optional", "asked_email": "off", "asked_city": "required"}
    join_questions.save_rules(shop.ctx, shop.owner, rules | {"till_skips": "on"})
    drink = join_questions.add(shop.ctx, shop.owner, QuestionKind.CHOICE, DRINK)
    join_questions.add(shop.ctx, shop.owner, QuestionKind.DATE, {"text_en": "Wedding day?", "text_fa": "روز عروسی؟"})
    join_questions.add(shop.ctx, shop.owner, QuestionKind.TEXT, {"text_en": "Your dog's name?"})
    return drink


def test_an_owner_asks_a_question_and_a_customer_answers_it(page: Page, live: Live) -> None:
    sign_in(page)
    page.goto("/office/joining")
    picture = page.locator("#joining-preview")
    expect(picture.get_by_text("City")).to_have_count(1)
    page.locator("#asked_city").select_option("off")
    expect(picture.get_by_text("City")).to_have_count(0)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Ask for a choice").click()
    page.get_by_label("Question").first.fill("Where do you sit?")
    page.locator("#choice_0_en").fill("Inside")
    page.locator("#choice_1_en").fill("On the terrace")
    page.get_by_label("A must").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="Where do you sit?")).to_be_visible()
    page.goto("/join/kulma")
    page.get_by_label("Mobile number").fill("040 123 4567")
    page.get_by_label("I accept the terms").check()
    page.get_by_role("button", name="Get the card").click()
    field = page.get_by_label("Where do you sit?")
    expect(field).to_have_accessible_description("Please fill this in.")
    field.select_option("On the terrace")
    page.get_by_role("button", name="Get the card").click()
    expect(page).to_have_url(re.compile(r"/c/[\w-]{22}$"))
    page.goto(page.url + "/me")
    expect(page.get_by_label("Where do you sit?")).to_have_value("1")


def test_questions_are_put_in_order_with_the_keyboard(page: Page, live: Live) -> None:
    drink = set_up(live.shop)
    sign_in(page)
    page.goto("/office/joining")
    first = page.locator(".question").first
    expect(first).to_contain_text("What do you drink?")
    first.get_by_role("button", name="Down").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".question").nth(1)).to_contain_text("What do you drink?")
    assert drink == join_rules.get(live.shop.ctx, live.shop.program.id).asked[1].id


def test_a_cashier_joins_a_customer_by_the_number_alone_who_then_is_asked_for_the_rest(phone: Page, live: Live) -> None:
    set_up(live.shop)
    sign_in(phone, "charlie", "/till")
    phone.locator("#code").fill("040 123 4567")
    phone.keyboard.press("Enter")
    phone.get_by_label("I have told the customer the terms").check()
    phone.get_by_role("button", name="Join this number").click()
    expect(phone).to_have_url(re.compile(r"/till/m/"))
    member = members.find(live.shop.ctx, live.shop.cashier, "0401234567")
    phone.goto(members.card_url(live.shop.ctx, member).removeprefix(live.shop.ctx.settings.base_url) + "/me")
    phone.get_by_role("link", name="What do you drink?").click()
    expect(phone.get_by_label("What do you drink?")).to_be_in_viewport()
    phone.get_by_label("What do you drink?").select_option("Tea")
    phone.get_by_role("button", name="Save").click()
    expect(phone.get_by_role("link", name="What do you drink?")).to_have_count(0)


def test_the_link_of_a_place_is_copied_and_its_code_downloaded(page: Page, live: Live) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_in(page)
    page.goto("/office/channels")
    page.get_by_role("link", name="Receipts").click()
    page.get_by_role("button", name=re.compile("Copy.*Link")).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").endswith("/join/kulma?via=receipt")
    with page.expect_download() as download:
        page.get_by_role("link", name="(SVG)").click()
    assert "kulma-receipt.svg" == download.value.suggested_filename


@pytest.mark.parametrize(
    ("window", "language", "scheme"),
    [("page", "en", "light"), ("phone", "fa", "dark"), ("phone", "en", "light"), ("page", "fa", "light")],
)
def test_every_page_of_joining_is_accessible_and_fits(
    request: pytest.FixtureRequest, live: Live, window: str, language: str, scheme: str
) -> None:
    shop = live.shop
    drink = set_up(shop)
    anna = shop.member(1, name="Anna", city="Turku", answers={str(drink): "1"})
    page: Page = request.getfixturevalue(window)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # one of two words
    sign_in(page)
    own = members.card_url(shop.ctx, anna).removeprefix(shop.ctx.settings.base_url)
    addresses = {
        "joining": "/office/joining",
        "new": "/office/joining/questions/new?kind=choice",
        "question": f"/office/joining/questions/{drink}",
        "channels": "/office/channels?via=menu",
        "member": f"/office/members/{anna.id}",
        "join": "/join/kulma",
        "own": f"{own}/me",
    }
    for name, address in addresses.items():
        page.goto(f"{address}{'&' if '?' in address else '?'}lang={language}")
        if folder := os.environ.get("I_SHOTS"):
            page.screenshot(path=f"{folder}/{name}-{window}-{language}.png", full_page=True)
        faults = Axe().run(page).response["violations"]
        assert [] == [(address, fault["id"], fault["nodes"][0]["html"]) for fault in faults]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.emulate_media(reduced_motion="reduce")  # the notice fades in
    page.goto("/till")
    page.locator("#code").fill("040 123 9999")
    page.keyboard.press("Enter")
    page.locator(".till-join").wait_for()
    if folder := os.environ.get("I_SHOTS"):
        page.screenshot(path=f"{folder}/till-{window}-{language}.png", full_page=True)
    faults = Axe().run(page).response["violations"]
    assert [] == [(fault["id"], fault["nodes"][0]["html"]) for fault in faults]
