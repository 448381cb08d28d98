"""pass.json's model does right what wallet-py3k does wrong, and refuses what Wallet would refuse."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from passes.apple.errors import PassError
from passes.apple.fields import CurrencyField, Field, field_for
from passes.apple.model import (
    NFC,
    Barcode,
    BarcodeFormat,
    Coupon,
    IBeacon,
    Location,
    Pass,
    RelevantDate,
    StoreCard,
    barcode_encoding,
)

AT = datetime(2026, 11, 22, 9, 30, 15, tzinfo=timezone(timedelta(hours=2)))


def store_card(information: StoreCard | Coupon | None = None, **attributes: Any) -> Pass:
    made = Pass(
        information or StoreCard(),
        passTypeIdentifier="pass.fi.leima.test",
        organizationName="Leima",
        teamIdentifier="LEIMATEST1",
    )
    made.serialNumber, made.description = "1", "Leimakortti"
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def test_the_smallest_pass_holds_only_what_is_required() -> None:
    assert store_card().json_dict() == {
        "formatVersion": 1,
        "description": "Leimakortti",
        "organizationName": "Leima",
        "passTypeIdentifier": "pass.fi.leima.test",
        "serialNumber": "1",
        "teamIdentifier": "LEIMATEST1",
        "storeCard": {},
    }


@pytest.mark.parametrize("name", ["expirationDate", "exprirationDate"])
def test_the_expiration_date_counts_however_it_is_spelt(name: str) -> None:
    assert store_card(**{name: AT}).json_dict()["expirationDate"] == "2026-11-22T09:30:15+02:00"


def test_barcodes_come_with_the_single_one_of_older_systems() -> None:
    found = store_card(barcodes=[Barcode("X", BarcodeFormat.CODE128), Barcode("Y")]).json_dict()
    assert [barcode["format"] for barcode in found["barcodes"]] == ["PKBarcodeFormatCode128", "PKBarcodeFormatQR"]
    assert found["barcode"] == {"format": "PKBarcodeFormatQR", "message": "Y", "messageEncoding": "iso-8859-1"}
    assert store_card(barcode=Barcode("Y")).json_dict()["barcodes"] == [found["barcode"]]
    assert "barcode" not in store_card(barcodes=[Barcode("X", BarcodeFormat.CODE128)]).json_dict()


def test_a_barcode_names_utf_8_only_when_latin_1_lacks_a_letter() -> None:
    assert [barcode_encoding(message) for message in ("ABC", "Äö", "کد")] == ["iso-8859-1", "iso-8859-1", "utf-8"]


def test_a_location_has_no_altitude_and_no_distance_unless_given() -> None:
    assert Location(60.1, 24.9).json_dict() == {"latitude": 60.1, "longitude": 24.9}
    assert Location(0, 0, 0, "Tervetuloa").json_dict() == {
        "latitude": 0.0,
        "longitude": 0.0,
        "altitude": 0,
        "relevantText": "Tervetuloa",
    }


def test_a_beacon_has_no_empty_text() -> None:
    assert store_card(ibeacons=[IBeacon("uuid", 1, 2)]).json_dict()["beacons"] == [
        {"proximityUUID": "uuid", "major": 1, "minor": 2}
    ]


def test_fields_have_no_empty_change_message_and_no_alignment_unless_given() -> None:
    assert Field("k", "v", "l").json_dict() == {"key": "k", "value": "v", "label": "l"}


def test_every_group_takes_a_change_message() -> None:
    information = StoreCard()
    for group in ("Header", "Primary", "Secondary", "Auxiliary", "Back"):
        getattr(information, f"add{group}Field")(group, "v", "l", changeMessage="Nyt %@")
    found = information.json_dict()
    assert len(found) == 5
    assert all(fields[0]["changeMessage"] == "Nyt %@" for fields in found.values())


def test_alignment_stays_where_wallet_takes_it() -> None:
    information = StoreCard()
    information.headerFields = [Field("h", "v", textAlignment="PKTextAlignmentRight")]
    information.primaryFields = [Field("p", "v", textAlignment="PKTextAlignmentRight")]
    information.backFields = [Field("b", "v", textAlignment="PKTextAlignmentRight")]
    found = information.json_dict()
    assert found["headerFields"][0]["textAlignment"] == "PKTextAlignmentRight"
    assert "textAlignment" not in found["primaryFields"][0] | found["backFields"][0]


def test_numbers_stay_numbers_and_times_get_their_zone() -> None:
    assert field_for("k", Decimal("12.50"), currency="EUR").json_dict() == {
        "key": "k",
        "value": Decimal("12.50"),
        "currencyCode": "EUR",
    }
    assert field_for("k", 0).json_dict() == {"key": "k", "value": 0, "numberStyle": "PKNumberStyleDecimal"}
    assert field_for("k", AT).json_dict()["value"] == "2026-11-22T09:30:15+02:00"
    assert field_for("k", date(2026, 11, 22)).json_dict() == {
        "key": "k",
        "value": "2026-11-22T00:00:00Z",
        "dateStyle": "PKDateStyleMedium",
        "timeStyle": "PKDateStyleNone",
        "ignoresTimeZone": True,
    }


def test_what_json_dict_gives_is_not_the_live_object() -> None:
    shown, barcode = Field("k", "v"), Barcode("X")
    shown.json_dict()["value"] = barcode.json_dict()["message"] = "changed"
    assert (shown.value, barcode.message) == ("v", "X")
    made = store_card(barcodes=[barcode], userInfo={"a": 1})
    found = made.json_dict()
    found["barcode"]["message"] = found["userInfo"]["a"] = "changed"
    assert found["barcodes"][0]["message"] == "X"
    assert made.json_dict()["userInfo"] == {"a": 1}


def test_what_wallet_py3k_lacks_can_be_set() -> None:
    found = store_card(
        sharingProhibited=True,
        maxDistance=200,
        voided=True,
        nfc=NFC("VAS", "key", requiresAuthentication=True),
        relevantDates=[RelevantDate(AT), RelevantDate(startDate=AT, endDate=AT)],
    ).json_dict()
    moment = "2026-11-22T09:30:15+02:00"
    assert (found["sharingProhibited"], found["maxDistance"], found["voided"]) == (True, 200, True)
    assert found["nfc"] == {"message": "VAS", "encryptionPublicKey": "key", "requiresAuthentication": True}
    assert found["relevantDates"] == [
        {"date": moment, "relevantDate": moment},
        {"startDate": moment, "endDate": moment},
    ]


def test_a_coupon_has_its_own_style() -> None:
    assert {"coupon", "storeCard"} & store_card(Coupon()).json_dict().keys() == {"coupon"}


def test_the_model_signs_nothing_and_keeps_no_files() -> None:
    with pytest.raises(PassError, match="PassTemplate"):
        store_card().create("certificate", "key", "wwdr", "password")
    with pytest.raises(PassError, match="PassTemplate"):
        store_card().addFile("icon.png", object())


def with_fields(*fields: Field) -> Pass:
    information = StoreCard()
    information.headerFields, information.backFields = list(fields[:1]), list(fields[1:])
    return store_card(information)


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "no serial number": (lambda: store_card(serialNumber="").json_dict(), "no serialNumber"),
    "no description": (lambda: store_card(description="").json_dict(), "no description"),
    "eleven locations": (lambda: store_card(locations=[Location(1, 1)] * 11).json_dict(), "at most 10 locations"),
    "a place off the globe": (lambda: Location(91, 0), "no place at latitude 91"),
    "a place that is not a number": (lambda: Location(float("nan"), 0), "no place at"),
    "the same key twice": (lambda: with_fields(Field("a", "1"), Field("a", "2")).json_dict(), "have the key “a”"),
    "a field without a key": (lambda: Field("", "1").json_dict(), "no key"),
    "a field without a value": (lambda: Field("a", "").json_dict(), "has no value"),
    "a plain web service": (
        lambda: store_card(webServiceURL="http://a.example", authenticationToken="t" * 16).json_dict(),
        "must start with https",
    ),
    "a short token": (
        lambda: store_card(webServiceURL="https://a.example", authenticationToken="t" * 15).json_dict(),
        "at least 16 characters",
    ),
    "a web service without a token": (lambda: store_card(webServiceURL="https://a.example").json_dict(), "go together"),
    "a token without a web service": (lambda: store_card(authenticationToken="t" * 16).json_dict(), "go together"),
    "a time without a zone": (
        lambda: store_card(expirationDate=datetime(2026, 1, 1)).json_dict(),  # noqa: DTZ001
        "no time zone",
    ),
    "a barcode that does not fit": (
        lambda: Barcode("کد", messageEncoding="iso-8859-1").json_dict(),
        "can't be written in the encoding iso-8859-1",
    ),
    "a barcode with half a character": (lambda: Barcode("\ud800").json_dict(), "can't be written"),
    "an empty barcode": (lambda: Barcode("").json_dict(), "no message"),
    "a change message without its place": (lambda: Field("a", "1", changeMessage="Uusi").json_dict(), "exactly one %@"),
    "not a number": (lambda: field_for("a", Decimal("NaN")).json_dict(), "can't show the number NaN"),
    "an infinite credit": (lambda: field_for("a", Decimal("Infinity"), currency="EUR").json_dict(), "can't show"),
    "money as text": (lambda: field_for("a", "12.50", currency="EUR"), "is not a number"),
    "money as text in the class itself": (lambda: CurrencyField("a", "12.50", "", "EUR").json_dict(), "not a number"),
    "a currency that is none": (lambda: field_for("a", 1, currency="euro").json_dict(), "not a currency code"),
    "yes or no": (lambda: field_for("a", True), "of the kind bool"),
    "a float": (lambda: field_for("a", 1.5), "of the kind float"),  # type: ignore[arg-type]
    "a long NFC message": (lambda: NFC("x" * 65, "key").json_dict(), "1 to 64 bytes"),
    "a relevant date with neither moment nor start": (lambda: RelevantDate(endDate=AT), "either one moment"),
}


@pytest.mark.parametrize(("wrong", "reason"), WRONG.values(), ids=WRONG.keys())
def test_what_phones_would_refuse_is_refused_with_the_reason(wrong: Callable[[], object], reason: str) -> None:
    with pytest.raises(PassError, match=reason):
        wrong()


def test_the_model_is_json() -> None:
    full = store_card(expirationDate=AT.astimezone(UTC), barcodes=[Barcode("X")], locations=[Location(1, 2)])
    assert json.loads(json.dumps(full.json_dict())) == full.json_dict()
