"""Coupons as Google takes them: the classes and objects that we make pass the stand-in's rules."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from passes import coupon_drawing
from passes.card import Card, CardField, CardLocation, CardLook, StampCount
from passes.colors import Color
from passes.google.errors import PassError
from passes.google.offers import OfferClassSettings, OfferSettings, OfferState, offer_class, offer_object
from passes.google.texts import without_nulls
from sandbox.google_errors import ApiError
from sandbox.google_schema import check_class, check_fields, check_object
from sandbox.google_state import WalletState

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
GREEN, WHITE = Color(11, 93, 78), Color(255, 255, 255)
LOOK = CardLook(
    language="en",
    organization_name="Café Kulma",
    program_name="Kulma Club",
    description="Coupon of Kulma Club",
    background=GREEN,
    foreground=WHITE,
    label=WHITE,
    images={},
    strings={"fi": {"20% off": "20 % alennusta"}},
    locations=(CardLocation(60.17, 24.94, "Kulma"),),
)
CLASS = OfferClassSettings(
    "3388.coupons-1", "20% off", "https://kulma.example/logo.png", "https://kulma.example/hero.png", details="On cakes"
)
COUPON = Card(
    serial="1",
    authentication_token="x" * 22,
    version=1,
    code="R" + "0" * 34,
    code_text="ABCD-EFGH-JKMN-PQRS",
    stamps=StampCount(0, 1),
    primary=(CardField("worth", "Half price", "20% off"),),
    auxiliary=(CardField("status", "This coupon", "Ready to use"),),
    back=(CardField("page", "Your card's page", "https://kulma.example/c/x"),),
    expires_at=AT + timedelta(days=30),
)
OBJECT = OfferSettings("3388.coupon-1", "3388.coupons-1")


def test_the_class_is_what_google_takes():
    made = offer_class(LOOK, CLASS)
    check_fields(made, "OfferClass")
    check_class(without_nulls(made), "offerClass")
    assert ("20% off", "Café Kulma", "INSTORE") == tuple(
        made[name] for name in ("title", "provider", "redemptionChannel")
    )
    assert [{"language": "fi", "value": "20 % alennusta"}] == made["localizedTitle"]["translatedValues"]


@pytest.mark.parametrize("state", OfferState)
def test_the_object_is_what_google_takes(state: OfferState):
    made = offer_object(COUPON, LOOK, replace(OBJECT, state=state, valid_from=AT))
    check_fields(made, "OfferObject")
    check_object(without_nulls(made))
    assert state == made["state"]
    assert [COUPON.code, "2026-11-22T12:00:00+00:00"] == [
        made["barcode"]["value"],
        made["validTimeInterval"]["start"]["date"],
    ]


def test_what_is_worth_is_the_title_and_is_not_said_twice():
    texts = offer_object(COUPON, LOOK, OBJECT)["textModulesData"]
    assert ["Ready to use"] == [one["body"] for one in texts]


def test_a_coupon_that_never_ends_has_no_interval():
    assert offer_object(replace(COUPON, expires_at=None), LOOK, OBJECT)["validTimeInterval"] is None


@pytest.mark.parametrize(
    ("card", "settings"),
    [
        (replace(COUPON, code=""), OBJECT),
        (COUPON, replace(OBJECT, object_id="3388")),
        (COUPON, replace(OBJECT, class_id="3389.coupons-1")),
        (replace(COUPON, expires_at=datetime(2026, 11, 22)), OBJECT),  # noqa: DTZ001 - that is what is wrong
    ],
)
def test_what_google_would_refuse_is_said_before(card: Card, settings: OfferSettings):
    with pytest.raises(PassError):
        offer_object(card, LOOK, settings)


@pytest.mark.parametrize("missing", ["title", "provider", "issuerName", "redemptionChannel"])
def test_the_stand_in_refuses_an_offer_class_without(missing: str):
    made: dict[str, Any] = without_nulls(offer_class(LOOK, CLASS))
    del made[missing]
    with pytest.raises(ApiError) as refused:
        WalletState(lambda: AT).insert("offerClass", made)
    assert (400, True) == (refused.value.status, missing in str(refused.value))


def test_the_stand_in_keeps_offers_and_cards_apart():
    state = WalletState(lambda: AT)
    state.insert("offerClass", without_nulls(offer_class(LOOK, CLASS)))
    state.insert("offerObject", without_nulls(offer_object(COUPON, LOOK, OBJECT)))
    state.save(OBJECT.object_id, "phone-1")
    assert ["phone-1"] == state.shown(OBJECT.object_id)["users"]
    with pytest.raises(ApiError):
        state.get("loyaltyObject", OBJECT.object_id)


def test_the_picture_of_a_coupon_has_apples_sizes_and_is_always_the_same():
    files = coupon_drawing.strip_files(GREEN, WHITE)
    sizes = {name: tuple(int.from_bytes(data[at : at + 4]) for at in (16, 20)) for name, data in files.items()}
    assert {"strip.png": (375, 144), "strip@2x.png": (750, 288), "strip@3x.png": (1125, 432)} == sizes
    assert files == coupon_drawing.strip_files(GREEN, WHITE)
    assert files != coupon_drawing.strip_files(GREEN, WHITE, rtl=True)
