"""Loyalty classes (what all cards of a programme share) and objects (one member's card), as Google Wallet takes them.

Reference: https://developers.google.com/wallet/reference/rest/v1/loyaltyclass and …/loyaltyobject. A PATCH keeps what
is not sent, and removes what is null: so a value that the card has no more is there as None.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from passes.card import Card, CardField, CardLocation, CardLook
from passes.google.errors import PassError
from passes.google.ids import check_identifier, issuer_of
from passes.google.texts import (
    Json,
    both,
    image,
    is_url,
    plain,
    shortened,
    web_address,
    whole_characters,
)

MOST_LOCATIONS = 10
MOST_MESSAGES = 10
MOST_TEXTS = 10
LABEL_LENGTH = 9
"""Characters of a label beside a number that every phone shows whole."""
BALANCE_LENGTH = 7
"""The same of the number."""
_REST = "more-texts"
_NAME_LENGTH = 20
_HEADER_LENGTH = 35


@dataclass(frozen=True, slots=True)
class ClassSettings:
    """What a class needs beside the look. Addresses are https.

    `logo_url` is a square picture (660 × 660), which phones show round. `callback_url` hears of saves and removals;
    empty: nobody does. `country` is ISO 3166.
    """

    class_id: str
    logo_url: str
    callback_url: str = ""
    website: str = ""
    account_name_label: str = ""
    account_id_label: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message on the card's back. `message_id` is unique on the card."""

    message_id: str
    header: str
    body: str


@dataclass(frozen=True, slots=True)
class ObjectSettings:
    """What an object needs beside the card. Labels and names are in the look's language; addresses are https.

    `hero_url` is the stamp picture (1032 × 336): its address must change with the picture, because Google keeps copies.
    `stamps_text` replaces "4/10". `rewards` is how many wait to be used; it is shown when `rewards_label` is given, as
    `rewards_text` when the language has digits of its own. `bonus` is a label and a balance, which is
    then the card's first number, and the stamps its second.
    `messages` None leaves those that the card has. `completed` marks a card that gave all it had (a used coupon).
    """

    object_id: str
    class_id: str
    stamps_label: str
    stamps_text: str = ""
    rewards: int = 0
    rewards_text: str = ""
    rewards_label: str = ""
    bonus: tuple[str, str] | None = None
    hero_url: str = ""
    account_name: str = ""
    messages: tuple[Message, ...] | None = None
    completed: bool = False


def loyalty_class(look: CardLook, settings: ClassSettings) -> Json:
    """The programme's LoyaltyClass. Raises PassError when Google would refuse it."""
    check_identifier(settings.class_id)
    if not look.organization_name or not look.program_name:
        raise PassError("Google Wallet needs the organization's and the programme's name. Fill both in")
    made: Json = {
        "id": settings.class_id,
        # Always this one: Google turns it into APPROVED itself, and refuses APPROVED when it is sent back.
        "reviewStatus": "UNDER_REVIEW",
        "hexBackgroundColor": look.background.hex,
        "programLogo": image(settings.logo_url, look.program_name, look, "the logo"),
        "merchantLocations": locations(look.locations),
        # A member may change phones and Google accounts; the till guards stamps, not the number of copies.
        "multipleDevicesAndHoldersAllowedStatus": "MULTIPLE_HOLDERS",
        "callbackOptions": address(settings.callback_url, "url", "the callbacks"),
        "homepageUri": address(settings.website, "uri", "the website"),
        "countryCode": settings.country or None,
        **both("issuerName", look.organization_name, look),
        **both("programName", look.program_name, look),
        **(both("accountNameLabel", settings.account_name_label, look) if settings.account_name_label else {}),
        **(both("accountIdLabel", settings.account_id_label, look) if settings.account_id_label else {}),
    }
    whole_characters(made)
    return made


def loyalty_object(
    card: Card,
    look: CardLook,
    settings: ObjectSettings,
    at: datetime,
    show: Callable[[CardField], str] = plain,
) -> Json:
    """The card's LoyaltyObject at the moment `at`. `show` writes a field's value in the card's language.

    The stamps come from `card.stamps`; the other fields become texts below the card, or links when their value is a web
    address. Raises PassError when Google would refuse it.
    """
    check_identifier(settings.object_id)
    check_identifier(settings.class_id)
    expires_at = moment(card.expires_at) if card.expires_at is not None else ""
    if issuer_of(settings.object_id) != issuer_of(settings.class_id):
        raise PassError("The card and its programme belong to different Google issuers. Use one issuer id for both")
    if not card.code:
        raise PassError("The card has no code")
    texts, links = texts_and_links(card, look, show, settings.account_name)
    stamps = settings.stamps_text or _stamps(card)
    made: Json = {
        "id": settings.object_id,
        "classId": settings.class_id,
        "state": _state(card, settings, at),
        "loyaltyPoints": _points(look, settings.stamps_label, stamps),
        "barcode": {"type": "QR_CODE", "value": card.code, "alternateText": card.code_text or card.code},
        "accountId": shortened(card.code_text or card.code, _NAME_LENGTH),
        "accountName": shortened(settings.account_name, _NAME_LENGTH) or None,
        "textModulesData": texts,
        "linksModuleData": {"uris": links} if links else None,
        "secondaryLoyaltyPoints": None,
        "heroImage": None,
        "validTimeInterval": {"end": {"date": expires_at}} if expires_at else None,
    }
    if settings.messages is not None:
        made["messages"] = _messages(settings.messages)
    if settings.rewards_label:
        rewards = settings.rewards_text or str(settings.rewards)
        made["secondaryLoyaltyPoints"] = _points(look, settings.rewards_label, rewards)
    if settings.bonus is not None:
        made["secondaryLoyaltyPoints"] = made["loyaltyPoints"]
        made["loyaltyPoints"] = _points(look, *settings.bonus)
    if settings.hero_url:
        made["heroImage"] = image(settings.hero_url, f"{settings.stamps_label}: {stamps}", look, "the stamp picture")
    whole_characters(made)
    return made


def address(url: str, name: str, what: str) -> Json | None:
    """An address in the object that Google wants it in; None for none."""
    return {name: web_address(url, what)} if url else None


def _state(card: Card, settings: ObjectSettings, at: datetime) -> str:
    """Phones move every card that is not ACTIVE to 'Expired passes'."""
    if card.voided:
        return "INACTIVE"
    if settings.completed:
        return "COMPLETED"
    if card.expires_at is not None and card.expires_at <= at:
        return "EXPIRED"
    return "ACTIVE"


def _stamps(card: Card) -> str:
    text = f"{card.stamps.have}/{card.stamps.needed}"
    return text if len(text) <= BALANCE_LENGTH else str(card.stamps.have)


def _points(look: CardLook, label: str, balance: str) -> Json:
    return {**both("label", label, look, LABEL_LENGTH), "balance": {"string": balance}}


def texts_and_links(
    card: Card, look: CardLook, show: Callable[[CardField], str], without: str = ""
) -> tuple[list[Json], list[Json]]:
    """The fields as texts below the card, or as links; not one that says `without`. A text whose last line is a web
    address becomes both: phones open no address in a text. The texts for which there is no room are in the last one.
    """
    texts: list[Json] = []
    links: list[Json] = []
    for field in card.primary + card.secondary + card.auxiliary + card.back:
        value = show(field)
        if not value or value == without:
            continue
        body, _, last = value.rpartition("\n")
        if is_url(last):
            description = both("description", field.label, look, _NAME_LENGTH) if field.label else {}
            links.append({"id": _text_id(field.key), "uri": last, **description})
        else:
            body = value
        if body:
            header = both("header", field.label, look, _HEADER_LENGTH) if field.label else {}
            texts.append({"id": _text_id(field.key), "body": body, **header})
    return _folded(texts), links


def _folded(texts: list[Json]) -> list[Json]:
    """At most as many texts as a card has room for: the last one holds the rest, each below its header."""
    if len(texts) <= MOST_TEXTS:
        return texts
    shown, rest = texts[: MOST_TEXTS - 1], texts[MOST_TEXTS - 1 :]
    blocks = ["\n".join(filter(None, (text.get("header"), text["body"]))) for text in rest]
    return [*shown, {"id": _REST, "body": "\n\n".join(blocks)}]


def _text_id(key: str) -> str:
    if not key or not all(letter.isascii() and (letter.isalnum() or letter in "_-") for letter in key):
        raise PassError(f"“{key}” can't be a field's key on Google Wallet: use letters a-z, digits, _ and -")
    return key


def locations(places: tuple[CardLocation, ...]) -> list[Json]:
    """Places as Google takes them. Raises PassError for too many, and for one that is nowhere."""
    if len(places) > MOST_LOCATIONS:
        raise PassError(f"Google Wallet takes at most {MOST_LOCATIONS} places, and these are {len(places)}")
    for place in places:
        if not (-90 <= place.latitude <= 90 and -180 <= place.longitude <= 180):
            raise PassError(f"There is no such place as {place.latitude}, {place.longitude} (latitude, longitude)")
    return [{"latitude": place.latitude, "longitude": place.longitude} for place in places]


def message(given: Message, notify: bool = False) -> Json:
    """A message as Google takes it. With `notify` the phone tells of it; that counts among the card's three a day."""
    if not (given.message_id and given.header and given.body):
        raise PassError("A message on a card needs an id, a header and a body")
    kind = "TEXT_AND_NOTIFY" if notify else "TEXT"
    return {"id": given.message_id, "header": given.header, "body": given.body, "messageType": kind}


def _messages(messages: tuple[Message, ...]) -> list[Json]:
    if len(messages) > MOST_MESSAGES:
        raise PassError(f"A card takes at most {MOST_MESSAGES} messages, and these are {len(messages)}")
    return [message(given) for given in messages]


def moment(value: datetime) -> str:
    """A moment as Google takes it. Raises PassError for one without a zone."""
    if value.utcoffset() is None:
        raise PassError(f"The time {value} has no time zone. Give it one")
    return value.isoformat("T", "seconds")
