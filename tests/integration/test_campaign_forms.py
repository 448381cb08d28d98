"""The form of a campaign, and what can be known of it before it is sent."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.db.campaigns import Benefit, Medium, Repeat
from app.db.people import MemberStatus, Role
from app.i18n import LANGUAGES, translator
from app.loyalty.campaign_schedule import moment
from app.loyalty.quiet_hours import QuietHours
from app.loyalty.segments import EVERYONE
from app.loyalty.sending_time import ends_at
from app.services import (
    campaign_choosing,
    campaign_counter,
    campaign_forms,
    campaign_preview,
    campaign_rendering,
    campaign_rules,
    campaign_test_send,
    members,
    sms_rules,
)
from app.services.campaign_forms import text_field
from app.services.campaigns import CampaignValues
from app.services.context import Context
from app.services.errors import InvalidForm, Refused
from sms.text import count_parts
from tests.factories import Shop
from tests.integration.credit_shop import grant

At = Callable[[datetime], None]
NOON = datetime(2027, 3, 1, 10, tzinfo=UTC)  # 12:00 in Helsinki
ZONE = "Europe/Helsinki"
PRICED = {"part_price": "0.07", "number_daily_cap": "20", "quiet_from": "21:00", "quiet_until": "08:00"}
FILLED = {"name": "March", "text_a_en": "{program}: buns for you, {first_name|friend}! {stop}"}
YES = {"sms_marketing": "Yes."}


def read(shop: Shop, **typed: str) -> CampaignValues:
    return campaign_forms.read(FILLED | typed, EVERYONE, shop.program)


def refused(shop: Shop, **typed: str) -> dict[str, str]:
    with pytest.raises(InvalidForm) as raised:
        read(shop, **typed)
    return {field: refusal.kind for field, refusal in raised.value.errors.items()}


def test_the_least_that_can_be_typed_is_an_sms_to_be_sent_by_hand(shop: Shop) -> None:
    expected = CampaignValues(
        name="March", tree={"kind": "all", "of": []}, texts={"a": {"en": FILLED["text_a_en"]}}, medium=Medium.SMS
    )
    assert expected == read(shop)


def test_everything_that_is_typed_is_kept_and_comes_back_into_the_form(shop: Shop, at: At) -> None:
    at(NOON)
    typed = {
        "medium": "wallet_first",
        "text_a_fi": "{program}: pullat. {stop} {link} {code}",
        "text_b_en": "{program}: buns! {stop}",
        "b_percent": "۳۰",
        "holdout_percent": "10",
        "link": "address",
        "link_address": "https://kulma.example/menu?x=1",
        "benefit": "credit",
        "benefit_amount": "2,50",
        "benefit_days": "7",
        "when": "birthday",
        "offset_days": "3",
        "at_time": "9.30",
        "first_day": "2027-04-01",
        "last_day": "2027-12-31",
    }
    values = read(shop, **typed)
    assert (30, 10, "https://kulma.example/menu?x=1") == (values.b_percent, values.holdout_percent, values.link)
    assert (Benefit.CREDIT, 250, 7) == (values.benefit, values.benefit_minor, values.benefit_days)
    assert (Repeat.BIRTHDAY, 3, time(9, 30)) == (values.repeat, values.offset_days, values.at_time)
    assert moment(date(2027, 4, 1), time(9, 30), ZONE) == values.starts_at
    assert moment(date(2028, 1, 1), time(), ZONE) == values.repeat_until
    shown = campaign_forms.as_typed(values, shop.program)
    assert "2027-12-31" == shown["last_day"]
    assert values == campaign_forms.read(shown, EVERYONE, shop.program)


@pytest.mark.parametrize(
    "typed",
    [
        {"when": "once", "day": "2027-03-02", "at_time": "10:00"},
        {"when": "weekly", "weekday": "6", "at_time": "10:00"},
        {"when": "after_visit", "offset_days": "30", "at_time": "10:00"},
        {"benefit": "reward", "benefit_name": "Bun", "benefit_days": "5"},
        {"link": "card"},
        {"medium": "wallet", "benefit": "double_stamps", "benefit_days": "2"},
    ],
)
def test_a_saved_campaign_is_shown_as_it_was_typed(shop: Shop, at: At, typed: dict[str, str]) -> None:
    at(NOON)
    values = read(shop, **typed)
    shown = campaign_forms.as_typed(values, shop.program)
    assert typed == {name: shown[name] for name in typed}
    assert values == campaign_forms.read(shown, EVERYONE, shop.program)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ({"name": " "}, {"name": "required"}),
        ({"text_a_en": ""}, {"text_a_en": "required"}),
        ({"text_a_en": "", "text_a_fi": "Pullat"}, {"text_a_en": "required"}),
        ({"text_b_fi": "Pullat", "b_percent": "50"}, {"text_b_en": "required"}),
        ({"text_b_en": "Buns", "b_percent": "100"}, {"b_percent": "invalid-number"}),
        ({"text_a_en": "Hi {nmae}"}, {"text_a_en": "invalid-text"}),
        ({"text_a_fi": "Hei {link}"}, {"text_a_fi": "no-link"}),
        ({"text_a_en": "Hi {code}"}, {"text_a_en": "no-code"}),
        ({"text_a_en": "x" * 1001}, {"text_a_en": "too-long"}),
        ({"text_a_en": "x" * 919}, {"text_a_en": "text-too-long"}),
        ({"text_a_fi": "я" * 403}, {"text_a_fi": "text-too-long"}),
        ({"holdout_percent": "51"}, {"holdout_percent": "invalid-number"}),
        ({"medium": "pigeon"}, {"medium": "unknown-choice"}),
        ({"benefit": "credit", "benefit_days": "7"}, {"benefit_amount": "required"}),
        (
            {"benefit": "credit", "benefit_amount": "x", "benefit_days": "0"},
            {"benefit_amount": "invalid-amount", "benefit_days": "invalid-number"},
        ),
        ({"benefit": "reward", "benefit_days": "7"}, {"benefit_name": "required"}),
        ({"when": "once", "at_time": "10:00"}, {"day": "required"}),
        ({"when": "once", "day": "2027-03-05", "at_time": "25:00"}, {"at_time": "invalid-time"}),
        ({"when": "once", "day": "2027-03-01", "at_time": "11:59"}, {"day": "time-passed"}),
        ({"when": "weekly", "weekday": "7", "at_time": "10:00"}, {"weekday": "invalid-number"}),
        ({"when": "birthday", "offset_days": "", "at_time": "10:00"}, {"offset_days": "invalid-number"}),
        (
            {"when": "weekly", "weekday": "0", "at_time": "10:00", "first_day": "2027-05-02", "last_day": "2027-05-01"},
            {"last_day": "invalid-date"},
        ),
        ({"when": "weekly", "weekday": "0", "at_time": "10:00", "last_day": "2027-02-01"}, {"last_day": "time-passed"}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_field(
    shop: Shop, at: At, typed: dict[str, str], expected: dict[str, str]
) -> None:
    at(NOON)
    assert expected == refused(shop, **typed)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "http://kulma.example",
        "javascript:alert(1)",
        "https://",
        "https://localhost",
        "https://bank.example@evil.example",
        "https://kulma.example:8443",
        "https://kulma.example/a b",
        'https://kulma.example/"><script>',
        "https://kulma.example\\@evil.example",
        "https://kulma.example/" + "x" * 500,
    ],
)
def test_a_link_leads_to_an_https_address_only(shop: Shop, address: str) -> None:
    assert {"link_address": "invalid-link"} == refused(shop, link="address", link_address=address)


def test_an_address_may_be_typed_without_its_scheme(shop: Shop) -> None:
    assert "https://kulma.example/menu" == read(shop, link="address", link_address=" kulma.example/menu ").link


def test_a_time_that_summer_time_skips_is_refused(shop: Shop, at: At) -> None:
    at(NOON)
    # On 28 March 2027 the clock in Helsinki goes from 03:00 to 04:00.
    assert {"at_time": "skipped-time"} == refused(shop, when="once", day="2027-03-28", at_time="03:30")
    expected = datetime(2027, 3, 28, 1, 0, tzinfo=UTC)
    assert expected == read(shop, when="once", day="2027-03-28", at_time="04:00").starts_at


def test_a_time_that_comes_twice_is_its_first(shop: Shop, at: At) -> None:
    at(NOON)
    starts_at = read(shop, when="once", day="2027-10-31", at_time="03:30").starts_at
    assert datetime(2027, 10, 31, 0, 30, tzinfo=UTC) == starts_at
    assert campaign_forms.is_twice(starts_at, ZONE)
    assert not campaign_forms.is_twice(NOON, ZONE)


def test_a_jalali_day_can_be_typed(shop: Shop, at: At) -> None:
    at(NOON)
    starts_at = read(shop, when="once", day="۱۴۰۵-۱۲-۲۹", at_time="۱۰:۰۰").starts_at
    assert datetime(2027, 3, 20, 8, tzinfo=UTC) == starts_at


@pytest.mark.parametrize(
    ("begin", "hours", "expected"),
    [
        (time(12), 2, datetime(2027, 3, 1, 12, tzinfo=UTC)),
        (time(12), 10, datetime(2027, 3, 2, 7, tzinfo=UTC)),  # 9 hours until 21:00, one more from 08:00
        (time(22), 1, datetime(2027, 3, 2, 7, tzinfo=UTC)),
        (time(12), 9, datetime(2027, 3, 1, 19, tzinfo=UTC)),
        (time(12), 9 + 13, datetime(2027, 3, 2, 19, tzinfo=UTC)),
        (time(12), 13 * 400, None),
    ],
)
def test_the_end_is_told_by_the_clock_and_the_quiet_hours(begin: time, hours: int, expected: datetime | None) -> None:
    started = datetime.combine(date(2027, 3, 1), begin, ZoneInfo(ZONE))
    assert expected == ends_at(started, timedelta(hours=hours), QuietHours(time(21), time(8), ZONE))


def test_without_quiet_hours_a_sending_goes_on_all_night() -> None:
    assert NOON + timedelta(hours=48) == ends_at(NOON, timedelta(hours=48), QuietHours(time(), time(), ZONE))


def test_each_member_reads_their_own_language_else_the_programmes(shop: Shop, at: At) -> None:
    at(NOON)
    shop.member(1, name="Erin Example", consents=YES, language="en")
    shop.member(2, name="Väinö", consents=YES, language="fi")
    shop.member(3, name="Иван", consents=YES, language="ru")
    values = read(shop, text_a_fi="{program}: pullia, {first_name|ystävä}! {stop}")
    seen = {one.name: one.text for one in campaign_preview.outlook(shop.ctx, shop.owner, values).readers}
    link = "http://localhost:8400/u/xxxxxxxxxx"
    ways = {code: translator(code).gettext(campaign_rendering.STOP_BY_LINK, link=link) for code in ("en", "fi")}
    assert {
        "Erin Example": f"Kulma Club: buns for you, Erin! {ways['en']}",
        "Väinö": f"Kulma Club: pullia, Väinö! {ways['fi']}",
        "Иван": f"Kulma Club: buns for you, Иван! {ways['en']}",
    } == seen


def test_counts_say_who_gets_nothing_and_why(shop: Shop, at: At) -> None:
    at(NOON)
    for number in range(4):
        shop.member(number, consents=YES if number else {})
    gone = shop.member(9, consents=YES)
    members.set_status(shop.ctx, shop.owner, gone.id, MemberStatus.LEFT)
    counted = campaign_preview.audience(shop.ctx, shop.owner, read(shop))
    assert (4, 3, 0, 0) == (counted.chosen, counted.sms, counted.wallet, counted.holdout)
    assert {campaign_choosing.NO_CONSENT: 1} == counted.skipped
    wallet = campaign_preview.audience(shop.ctx, shop.owner, read(shop, medium="wallet"))
    assert {campaign_choosing.NO_WALLET: 4} == wallet.skipped
    assert 0 == wallet.reached


def test_an_empty_segment_has_an_outlook_too(shop: Shop, at: At) -> None:
    at(NOON)
    outlook = campaign_preview.outlook(shop.ctx, shop.owner, read(shop))
    assert (0, [], 0, 0, NOON) == (
        outlook.audience.chosen,
        outlook.readers,
        outlook.parts,
        outlook.cost_micro,
        outlook.ends_at,
    )


def test_parts_and_price_are_those_of_every_message_when_they_are_few(shop: Shop, at: At) -> None:
    at(NOON)
    sms_rules.save(shop.ctx, shop.owner, PRICED | {"country_FI": "on"})
    names = ["Erin", "Ирина", "Christopher " + "x" * 60]
    for number, name in enumerate(names):
        shop.member(number, name=name, consents=YES)
    text = "{program}: " + "y" * 100 + " {name|friend} STOP"
    outlook = campaign_preview.outlook(shop.ctx, shop.owner, read(shop, text_a_en=text))
    parts = [count_parts("Kulma Club: " + "y" * 100 + f" {name} STOP").parts for name in names]
    assert [1, 2, 2] == parts
    assert (5, 2, 350_000, True) == (outlook.parts, outlook.most_parts, outlook.cost_micro, outlook.exact)
    assert NOON + timedelta(seconds=5) == outlook.ends_at


def test_when_there_are_many_the_sum_is_estimated(shop: Shop, at: At, monkeypatch: pytest.MonkeyPatch) -> None:
    at(NOON)
    monkeypatch.setattr(campaign_preview, "_MEASURED", 2)
    for number in range(7):
        shop.member(number, consents=YES)
    outlook = campaign_preview.outlook(shop.ctx, shop.owner, read(shop))
    assert (7, 7, False) == (outlook.audience.sms, outlook.parts, outlook.exact)


def test_a_daily_cap_makes_it_last_for_days(shop: Shop, at: At) -> None:
    at(NOON)
    sms_rules.save(shop.ctx, shop.owner, PRICED | {"country_FI": "on", "daily_cap": "0.14"})
    for number in range(5):
        shop.member(number, consents=YES)
    outlook = campaign_preview.outlook(shop.ctx, shop.owner, read(shop))
    assert 3 == outlook.cap_days
    assert NOON + timedelta(days=2) == outlook.ends_at


def test_a_campaign_in_quiet_hours_ends_after_them(shop: Shop, at: At) -> None:
    at(NOON)
    shop.member(1, consents=YES)
    values = read(shop, when="once", day="2027-03-05", at_time="23:00")
    outlook = campaign_preview.outlook(shop.ctx, shop.owner, values)
    assert datetime(2027, 3, 6, 6, 0, 1, tzinfo=UTC) == outlook.ends_at


def test_the_next_times_of_one_that_repeats(shop: Shop, at: At) -> None:
    at(NOON)
    values = read(shop, when="weekly", weekday="6", at_time="10:00", last_day="2027-03-14")
    found = campaign_preview.next_runs(shop.ctx, shop.owner, values)
    assert [datetime(2027, 3, day, 8, tzinfo=UTC) for day in (7, 14)] == found
    assert [] == campaign_preview.next_runs(shop.ctx, shop.owner, read(shop))


def test_a_birthday_campaign_counts_those_of_its_next_day(shop: Shop, at: At) -> None:
    at(NOON)
    shop.member(1, consents=YES, birth_date=date(1990, 3, 5))
    shop.member(2, consents=YES, birth_date=date(1990, 7, 5))
    values = read(shop, when="birthday", offset_days="3", at_time="10:00")
    assert 1 == campaign_preview.audience(shop.ctx, shop.owner, values).chosen


def test_facts_are_what_the_member_has_now(shop: Shop, at: At) -> None:
    at(NOON)
    member = shop.member(1, name="Erin\n Example", consents=YES)
    grant(shop, member, amount="5")
    text = "{name} {stamps} {stamps_left} {reward} {credit|none} {credit_until|never}"
    values = read(shop, text_a_en=text)
    (reader,) = campaign_preview.outlook(shop.ctx, shop.owner, values).readers
    assert "Erin Example 0 10 Free coffee €5.00 31 Mar 2027" == " ".join(reader.text.split())


def test_the_credit_that_comes_with_it_is_read_as_if_it_were_given(shop: Shop, at: At) -> None:
    at(NOON)
    shop.member(1, consents=YES)
    values = read(
        shop, text_a_en="{credit|-} {credit_until|-} {code}", benefit="credit", benefit_amount="3", benefit_days="7"
    )
    (reader,) = campaign_preview.outlook(shop.ctx, shop.owner, values).readers
    assert "€3.00 8 Mar 2027 1234567" == reader.text


def test_a_shop_that_can_be_texted_offers_the_word(shop: Shop) -> None:
    sender = campaign_rendering.Sender("Kulma", "Bun", "EUR", "en", "https://l.example", replies=True)
    facts = campaign_rendering.MemberFacts(sender, "en")
    content = {"texts": {"a": {"en": "Buns {stop} {link}"}}, "link": "card"}
    assert "Buns No offers: reply STOP https://l.example/l/abc" == campaign_rendering.body(content, facts, "abc")


def test_a_message_on_the_card_may_be_long(shop: Shop) -> None:
    assert {"en": "я" * 403} == read(shop, medium="wallet", text_a_en="я" * 403).texts["a"]


def test_staff_read_neither_the_code_nor_the_personal_way_out_of_what_was_sent(shop: Shop) -> None:
    sender = campaign_rendering.Sender("Kulma", "Bun", "EUR", "en", "https://l.example", replies=False)
    facts = campaign_rendering.MemberFacts(sender, "en", code="1234567")
    content = {"texts": {"a": {"en": "{code} {link} {stop}"}}, "link": "card"}
    hidden = campaign_rendering.body(content, facts, "abcdefghij", link="…", hide_code=True)
    assert "••••••• … No offers: …/u/…" == hidden


def test_every_language_counts_its_own_text_as_it_is_typed(shop: Shop) -> None:
    sms_rules.save(shop.ctx, shop.owner, PRICED | {"country_FI": "on"})
    form = {text_field("a", language): "Hi {first_name|you}" for language in LANGUAGES}
    counted = campaign_counter.count(shop.ctx, shop.owner, form | {"text_b_en": "Hi {nmae}"})
    encodings = {field: one.count.encoding for field, one in counted.items() if one.error is None}
    assert {"text_a_en": "GSM-7", "text_a_fi": "GSM-7", "text_a_ru": "UCS-2", "text_a_fa": "UCS-2"} == encodings
    assert 70_000 == counted["text_a_en"].cost_micro
    assert ["no-sender", "no-stop"] == [one.kind for one in counted["text_a_en"].cautions]
    assert "invalid-text" == counted["text_b_en"].error.kind


def test_the_rules_have_bounds(shop: Shop) -> None:
    campaign_rules.save(shop.ctx, shop.owner, campaign_rules.Rules(second_person=True, most_offers=2))
    assert 2 == campaign_rules.get(shop.ctx, shop.program.id).most_offers


def test_a_test_message_goes_to_allowed_countries_only_and_not_for_ever(shop: Shop) -> None:
    ctx: Context = shop.ctx
    marketer = shop.actor(Role.MARKETER)
    with pytest.raises(InvalidForm) as raised:
        campaign_test_send.send(ctx, marketer, read(shop), {"test_phone": "+4915112345678"}, "k")
    assert ["test_phone"] == list(raised.value.errors)
    for number in range(10):
        campaign_test_send.send(ctx, marketer, read(shop), {"test_phone": "040 1230001"}, f"k{number}")
    campaign_test_send.send(ctx, marketer, read(shop), {"test_phone": "040 1230001"}, "k9")
    with pytest.raises(Refused) as refusal:
        campaign_test_send.send(ctx, marketer, read(shop), {"test_phone": "040 1230001"}, "another")
    assert "too-many-tries" == refusal.value.kind
