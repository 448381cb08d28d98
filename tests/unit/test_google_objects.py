"""The card as Google Wallet takes it."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes.card import CardField, CardLocation, StampCount
from passes.google.errors import PassError
from passes.google.ids import identifier
from passes.google.objects import (
    ClassSettings,
    Message,
    ObjectSettings,
    loyalty_class,
    loyalty_object,
    message,
)
from passes.google.texts import without_nulls
from sandbox.google_schema import check_class, check_fields, check_object
from tests.pass_samples import NOW, card, look

CLASS = ClassSettings("3388.kahvi", "https://leima.example/logo-1f.png", "https://leima.example/google/callback")
OBJECT = ObjectSettings("3388.alice", "3388.kahvi", "Leimoja", hero_url="https://leima.example/hero-2a.png")


def made(card_changes: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    return loyalty_object(card(**(card_changes or {})), look(), replace(OBJECT, **settings), NOW)


def texts(values: dict[str, Any]) -> dict[str, str]:
    return {entry["id"]: entry["body"] for entry in values["textModulesData"]}


def test_google_takes_the_class_and_the_object():
    loyalty = loyalty_class(look(), replace(CLASS, website="https://kahvila.example", country="FI"))
    check_fields(loyalty, "LoyaltyClass")
    check_class(without_nulls(loyalty))
    values = made(rewards=2, rewards_label="Palkinnot", account_name="Alice", messages=(Message("m1", "Hei", "Uutta"),))
    check_fields(values, "LoyaltyObject")
    check_object(without_nulls(values))


def test_a_class_is_always_sent_for_review():
    assert "UNDER_REVIEW" == loyalty_class(look(), CLASS)["reviewStatus"]


def test_the_background_is_the_brands():
    assert "#3c2415" == loyalty_class(look(), CLASS)["hexBackgroundColor"]


def test_the_stamps_are_the_points():
    points = made()["loyaltyPoints"]
    assert {"string": "3/10"} == points["balance"]
    assert "Leimoja" == points["label"]


def test_phones_in_other_languages_get_their_own_labels():
    localized = made()["loyaltyPoints"]["localizedLabel"]
    assert {"language": "fi", "value": "Leimoja"} == localized["defaultValue"]
    assert {"en": "Stamps", "fa": "مهرها", "ru": "Штампы"} == {
        entry["language"]: entry["value"] for entry in localized["translatedValues"]
    }


def test_a_long_label_is_shortened_in_every_language():
    strings = {"en": {"Kahvikupillisia": "Cups of coffee"}}
    values = loyalty_object(card(), look(strings=strings), replace(OBJECT, stamps_label="Kahvikupillisia"), NOW)
    points = values["loyaltyPoints"]
    assert "Kahvikup…" == points["label"]
    assert ["Cups of…"] == [entry["value"] for entry in points["localizedLabel"]["translatedValues"]]


def test_a_count_that_would_be_cut_shows_what_is_there():
    assert {"string": "1200"} == made({"stamps": StampCount(1200, 2000)})["loyaltyPoints"]["balance"]


def test_waiting_rewards_stand_beside_the_stamps():
    assert {"string": "2"} == made(rewards=2, rewards_label="Rewards")["secondaryLoyaltyPoints"]["balance"]


def test_bonus_is_the_first_number_and_the_stamps_the_second():
    values = made(bonus=("Bonus", "€12.30"), rewards=2, rewards_label="Rewards")
    assert ("Bonus", "€12.30") == (values["loyaltyPoints"]["label"], values["loyaltyPoints"]["balance"]["string"])
    assert made()["loyaltyPoints"] == values["secondaryLoyaltyPoints"]
    check_fields(values, "LoyaltyObject")


def test_the_code_is_a_qr_code_with_its_text_beneath():
    expected = {"type": "QR_CODE", "value": "QMCP54WJ0G1D2MMP", "alternateText": "QMCP 54WJ 0G1D 2MMP"}
    assert expected == made()["barcode"]


def test_every_other_field_is_a_text_below_the_card():
    expected = {
        "reward": "10. kahvi on ilmainen",
        "credit": "12.50 EUR",
        "visits": "1250",
        "since": "2026-01-31",
        "terms": 'Rivi 1\nRivi 2 "lainattu" \\ 100 %',
    }
    shown = texts(made(account_name="Alice"))
    del shown["until"]
    assert expected == shown


def test_values_are_written_in_the_cards_language():
    values = loyalty_object(card(), look(), OBJECT, NOW, show=lambda field: f"{field.key}!")
    assert "credit!" == texts(values)["credit"]


def test_addresses_are_links():
    values = made({"back": (CardField("page", "Korttisivusi", "https://leima.example/k/1?x=y"),)})
    assert [("page", "https://leima.example/k/1?x=y", "Korttisivusi")] == [
        (entry["id"], entry["uri"], entry["description"]) for entry in values["linksModuleData"]["uris"]
    ]


@pytest.mark.parametrize(
    ("changes", "settings", "state"),
    [
        ({}, {}, "ACTIVE"),
        ({"voided": True}, {"completed": True}, "INACTIVE"),
        ({"expires_at": NOW}, {}, "EXPIRED"),
        ({"expires_at": NOW + timedelta(seconds=1)}, {}, "ACTIVE"),
        ({}, {"completed": True}, "COMPLETED"),
    ],
)
def test_the_state_says_whether_the_card_counts(changes: dict[str, Any], settings: dict[str, Any], state: str):
    assert state == made(changes, **settings)["state"]


def test_what_the_card_has_no_more_is_removed_from_the_phone():
    values = made(hero_url="")
    removed = {name for name, value in values.items() if value is None}
    assert {"accountName", "secondaryLoyaltyPoints", "heroImage", "linksModuleData", "validTimeInterval"} == removed


def test_messages_that_were_added_stay_unless_they_are_replaced():
    assert "messages" not in made()
    assert [] == made(messages=())["messages"]


def test_a_message_notifies_only_when_it_is_told_to():
    hello = Message("m1", "Hei", "Uutta kahvia")
    assert ["TEXT", "TEXT_AND_NOTIFY"] == [message(hello, notify)["messageType"] for notify in (False, True)]


def test_texts_for_which_there_is_no_room_are_in_the_last_one_below_their_headers():
    fields = (*(CardField(f"f{n}", f"Ehto {n}", f"Arvo {n}") for n in range(11)), CardField("end", "", "Loppu"))
    shown = made({"primary": (), "secondary": (), "auxiliary": (), "back": fields})["textModulesData"]
    assert [f"Ehto {n}" for n in range(9)] == [text["header"] for text in shown[:-1]]
    assert {"id": "more-texts", "body": "Ehto 9\nArvo 9\n\nEhto 10\nArvo 10\n\nLoppu"} == shown[-1]


def test_the_address_below_a_text_is_a_link_because_phones_open_none_in_texts():
    field = CardField("survey", "Kysely", "Miten meni?\nhttps://leima.example/n/x1")
    shown = made({"primary": (), "secondary": (), "auxiliary": (), "back": (field,)})
    assert {"survey": "Miten meni?"} == texts(shown)
    (link,) = shown["linksModuleData"]["uris"]
    assert ("survey", "https://leima.example/n/x1", "Kysely") == (link["id"], link["uri"], link["description"])


@pytest.mark.parametrize(
    ("changes", "settings", "word"),
    [
        ({"code": ""}, {}, "code"),
        ({}, {"object_id": "3388.ä"}, "ä"),
        ({}, {"object_id": "alice"}, "issuer id"),
        ({}, {"object_id": "3399.alice"}, "different Google issuers"),
        ({}, {"hero_url": "http://leima.example/hero.png"}, "https://"),
        ({}, {"hero_url": "hero.png"}, "https://"),
        ({"expires_at": NOW.replace(tzinfo=None)}, {}, "time zone"),
        ({"back": (CardField("Ehdot!", "Ehdot", "Ei mitään"),)}, {}, "key"),
        ({"back": (CardField("terms", "Ehdot", "\ud800"),)}, {}, "half a character"),
        ({}, {"messages": tuple(Message(f"m{n}", "Hei", "Uutta") for n in range(11))}, "at most 10"),
        ({}, {"messages": (Message("m1", "", "Uutta"),)}, "header"),
    ],
)
def test_what_google_would_refuse_is_said_before(changes: dict[str, Any], settings: dict[str, Any], word: str):
    with pytest.raises(PassError, match=re.escape(word)):
        made(changes, **settings)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"locations": tuple(CardLocation(60.0, 24.0) for _ in range(11))}, "at most 10"),
        ({"locations": (CardLocation(91.0, 24.0),)}, "no such place"),
        ({"organization_name": ""}, "name"),
    ],
)
def test_a_class_that_google_would_refuse_is_said_before(changes: dict[str, Any], word: str):
    with pytest.raises(PassError, match=re.escape(word)):
        loyalty_class(look(**changes), CLASS)


def test_the_sandbox_may_be_reached_without_https_on_this_machine_only():
    local = replace(CLASS, callback_url="http://localhost:8400/google/callback")
    assert {"url": "http://localhost:8400/google/callback"} == loyalty_class(look(), local)["callbackOptions"]
    with pytest.raises(PassError, match="https://"):
        loyalty_class(look(), replace(CLASS, callback_url="http://localhost.evil.example/"))


@pytest.mark.parametrize("suffix", ["", "a/b", "ä", "a b", "a" * 101])
def test_ids_have_only_letters_that_google_takes(suffix: str):
    with pytest.raises(PassError):
        identifier("3388", suffix)


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(label=words, name=words, body=words, have=st.integers(0, 5000), needed=st.integers(1, 5000))
def test_whatever_people_type_google_takes_the_card(label: str, name: str, body: str, have: int, needed: int):
    values = loyalty_object(
        card(stamps=StampCount(min(have, needed), needed), back=(CardField("news", label, body),)),
        look(),
        replace(OBJECT, stamps_label=label, account_name=name, rewards=have, rewards_label=name),
        NOW,
    )
    check_fields(values, "LoyaltyObject")
    check_object(without_nulls(values))
    assert len(values["loyaltyPoints"]["label"]) <= 9
    assert len(values["loyaltyPoints"]["balance"]["string"]) <= 7
