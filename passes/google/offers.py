"""Offer classes (what all coupons of a kind share) and offer objects (one member's coupon), as Google wants them.

Reference: https://developers.google.com/wallet/reference/rest/v1/offerclass and …/offerobject. A PATCH keeps what is
not sent, and removes what is null.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from passes.card import Card, CardField, CardLook
from passes.google.errors import PassError
from passes.google.ids import check_identifier, issuer_of
from passes.google.objects import address, locations, moment, texts_and_links
from passes.google.texts import Json, both, image, plain, shortened, whole_characters

TITLE_LENGTH = 60
"""Characters of a title, and of the shop's name, that small phones show whole."""
SHORT_TITLE_LENGTH = 20


class OfferState(StrEnum):
    """Phones move every coupon that is not active to 'Expired passes'."""

    ACTIVE = "ACTIVE"
    COMPLETED = "COMPLETED"  # used
    EXPIRED = "EXPIRED"
    INACTIVE = "INACTIVE"  # taken back, or its member may use nothing now


@dataclass(frozen=True, slots=True)
class OfferClassSettings:
    """What a class needs beside the look. `title` is what the coupon is worth; addresses are https.

    `logo_url` is a square picture, `hero_url` a wide one (1032 × 336): another picture needs another address.
    """

    class_id: str
    title: str
    logo_url: str
    hero_url: str = ""
    details: str = ""
    fine_print: str = ""
    callback_url: str = ""
    website: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class OfferSettings:
    """What an object needs beside the card. It can be used from `valid_from` on; None: at once."""

    object_id: str
    class_id: str
    state: OfferState = OfferState.ACTIVE
    valid_from: datetime | None = None


def offer_class(look: CardLook, settings: OfferClassSettings) -> Json:
    """The OfferClass of a kind of coupon. Raises PassError when Google would refuse it."""
    check_identifier(settings.class_id)
    if not look.organization_name or not settings.title:
        raise PassError("Google Wallet needs the organization's name and the coupon's. Fill both in")
    hero = image(settings.hero_url, settings.title, look, "the coupon's picture") if settings.hero_url else None
    made: Json = {
        "id": settings.class_id,
        "reviewStatus": "UNDER_REVIEW",  # always: see passes.google.objects.loyalty_class
        "redemptionChannel": "INSTORE",
        "hexBackgroundColor": look.background.hex,
        "titleImage": image(settings.logo_url, look.organization_name, look, "the logo"),
        "heroImage": hero,
        "merchantLocations": locations(look.locations),
        # A copy that two people hold can be used once all the same: the till closes it.
        "multipleDevicesAndHoldersAllowedStatus": "MULTIPLE_HOLDERS",
        "callbackOptions": address(settings.callback_url, "url", "the callbacks"),
        "homepageUri": address(settings.website, "uri", "the website"),
        "countryCode": settings.country or None,
        "details": settings.details or None,
        "finePrint": settings.fine_print or None,
        **both("issuerName", look.organization_name, look),
        **both("provider", look.organization_name, look, TITLE_LENGTH),
        **both("title", settings.title, look, TITLE_LENGTH),
        **both("shortTitle", settings.title, look, SHORT_TITLE_LENGTH),
    }
    whole_characters(made)
    return made


def offer_object(card: Card, look: CardLook, settings: OfferSettings, show: Callable[[CardField], str] = plain) -> Json:
    """The coupon's OfferObject. `show` writes a field's value in the card's language.

    The primary field is the class's title; the others become texts below the coupon, or links. Raises PassError when
    Google would refuse it.
    """
    check_identifier(settings.object_id)
    check_identifier(settings.class_id)
    if issuer_of(settings.object_id) != issuer_of(settings.class_id):
        raise PassError("The coupon and its kind belong to different Google issuers. Use one issuer id for both")
    if not card.code:
        raise PassError("The coupon has no code")
    title = show(card.primary[0]) if card.primary else ""
    texts, links = texts_and_links(card, look, show, title)
    start, end = settings.valid_from, card.expires_at
    made: Json = {
        "id": settings.object_id,
        "classId": settings.class_id,
        "state": settings.state.value,
        "barcode": {
            "type": "QR_CODE",
            "value": card.code,
            "alternateText": shortened(card.code_text or card.code, SHORT_TITLE_LENGTH),
        },
        "textModulesData": texts,
        "linksModuleData": {"uris": links} if links else None,
        "validTimeInterval": {
            "start": {"date": moment(start)} if start is not None else None,
            "end": {"date": moment(end)} if end is not None else None,
        },
    }
    if start is None and end is None:
        made["validTimeInterval"] = None
    whole_characters(made)
    return made
