"""Where a member sees credit: the wallet card, its lock screen, and the history."""

import json
from datetime import timedelta
from io import BytesIO
from zipfile import ZipFile

import pytest
from sqlalchemy import select

from app.db.people import MemberCard
from app.loyalty.ledger import Kind
from app.services import (
    apple_passes,
    card_credit,
    card_state,
    cards,
    credit_codes,
    program_rules,
    programs,
    till,
)
from app.services.views import MemberView
from tests.factories import Shop
from tests.integration.credit_shop import (
    NOON,
    RULES,
    SetClock,
    credit_of,
    grant,
    now_of,
    use,
)


@pytest.fixture(autouse=True)
def noon(at: SetClock) -> None:
    at(NOON)


def fields_of(shop: Shop, member: MemberView) -> dict[str, str]:
    seen = now_of(shop, member)
    card = cards.card(shop.ctx, shop.program, seen, "https://kulma.example/c/x")
    return {field.key: str(field.value) for field in card.auxiliary + card.back if field.key.startswith("credit")}


def test_the_card_shows_credit_with_its_last_day(shop: Shop):
    member = shop.member()
    grant(shop, member)
    assert {"credit": "€12.50, until 31 Mar 2027"} == fields_of(shop, member)


def test_the_card_shows_several_credits_as_one_sum_and_each_on_its_back(shop: Shop):
    member = shop.member()
    grant(shop, member)
    grant(shop, member, amount="5", last_day="2027-03-20")
    grant(shop, member, amount="7", first_day="2027-04-01", last_day="2027-04-30")
    assert {
        "credit": "€17.50, part of it until 20 Mar 2027",
        "credit_later": "€7.00, from 1 Apr 2027 to 30 Apr 2027",
        "credits": ("€5.00, until 20 Mar 2027\n€12.50, until 31 Mar 2027\n€7.00, from 1 Apr 2027 to 30 Apr 2027"),
    } == fields_of(shop, member)


def test_the_card_shows_the_code_only_if_the_programme_wants_it(shop: Shop):
    member = shop.member()
    credit_id = grant(shop, member, sms="on")
    assert "credits" not in fields_of(shop, member)
    program_rules.save(shop.ctx, shop.owner, RULES | {"code_on_card": "on"})
    changed = programs.get(shop.ctx, shop.program.id)
    code = credit_codes.code_again(shop.ctx, credit_of(shop, credit_id))
    assert {credit_id: code} == card_credit.codes(shop.ctx, changed, now_of(shop, member).credits)


def test_the_lock_screen_tells_of_credit_given_and_used(shop: Shop):
    member = shop.member()
    grant(shop, member)
    news = [now_of(shop, member).news]
    use(shop, member, 400)
    news.append(now_of(shop, member).news)
    use(shop, member, 9900)
    news.append(now_of(shop, member).news)
    assert [
        "You have €12.50 to use until 31 Mar 2027",
        "You used €4.00 of credit. Left: €8.50",
        "You used €8.50 of credit",
    ] == news


def test_a_persian_member_reads_the_news_in_persian_digits_and_calendar(shop: Shop):
    member = shop.member(language="fa")
    grant(shop, member)
    assert "۱۱ فروردین ۱۴۰۶" in now_of(shop, member).news


def test_a_phone_that_fetches_its_card_sees_credit(shop: Shop):
    member = shop.member()
    before = card_state.find(shop.ctx, member.card_id)
    grant(shop, member)
    after = card_state.find(shop.ctx, member.card_id)
    assert before is not None
    assert after is not None
    assert before.member is not None  # what is plain is read at once
    assert after.member is None  # credit is read by the longer way
    assert after.version > before.version


def test_the_history_tells_what_was_given_used_and_lost(shop: Shop, at: SetClock):
    member = shop.member()
    for last in ("2027-03-20", "2027-03-31"):
        grant(shop, member, last_day=last)
    use(shop, member, 2000)
    at(NOON + timedelta(days=40))
    now_of(shop, member)
    acts = till.history(shop.ctx, shop.cashier, member.id)
    assert [
        (Kind.EXPIRY, -500, None),
        (Kind.REDEEM, -2000, 2000),
        (Kind.GRANT, 1250, None),
        (Kind.GRANT, 1250, None),
    ] == [(act.kind, act.amount, act.amount_minor) for act in acts]


def test_the_cards_version_grows_with_each_act(shop: Shop):
    member = shop.member()
    grant(shop, member)
    use(shop, member, 100)
    with shop.ctx.sessions() as session:
        version = session.scalars(select(MemberCard.version).where(MemberCard.id == member.card_id)).one()
    assert member.card_version + 2 == version


def test_the_pass_that_an_iphone_gets_shows_credit_in_its_members_language(shop: Shop):
    member = shop.member(language="fi")
    grant(shop, member)
    signed = apple_passes.apple_pass(shop.ctx, now_of(shop, member))
    with ZipFile(BytesIO(b"".join(signed.segments))) as archive:
        fields = json.loads(archive.read("pass.json"))["storeCard"]["auxiliaryFields"]
    assert [("credit", "Hyvitys", "12,50\N{NO-BREAK SPACE}€, 31.3.2027 asti")] == [
        (field["key"], field["label"], field["value"]) for field in fields
    ]
