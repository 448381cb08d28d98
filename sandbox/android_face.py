"""A Google Wallet loyalty card, or an offer, as an Android shows it, in the phone's language."""

from dataclasses import dataclass
from typing import Any

_STATES = {"INACTIVE": "Inactive", "EXPIRED": "Expired", "COMPLETED": "Completed"}


@dataclass(frozen=True, slots=True)
class Text:
    """A text with its heading, either of which may be empty."""

    header: str
    body: str


@dataclass(frozen=True, slots=True)
class AndroidFace:
    """Everything that is drawn. Pictures are addresses; empty when there is none."""

    issuer: str
    program: str
    background: str
    logo: str
    hero: str
    hero_text: str
    points: list[Text]
    account: list[Text]
    code: str
    code_text: str
    texts: list[Text]
    links: list[Text]
    messages: list[Text]
    ended: str


def face(shown: dict[str, Any], language: str) -> AndroidFace:
    """The card that WalletView.shown gave, as a phone set to `language` draws it."""
    card, program = shown["object"], shown["class"]
    hero = card.get("heroImage") or program.get("heroImage") or {}
    barcode = card.get("barcode") or {}
    account = (("accountName", "accountNameLabel"), ("accountId", "accountIdLabel"))
    return AndroidFace(
        issuer=text(program, "issuerName", language),
        program=text(program, "programName" if "programName" in program else "title", language),
        background=program.get("hexBackgroundColor") or "#4285f4",
        logo=_address(program.get("programLogo") or program.get("titleImage")),
        hero=_address(hero),
        hero_text=_localized(hero.get("contentDescription"), language),
        points=[
            _points(card[name], language) for name in ("loyaltyPoints", "secondaryLoyaltyPoints") if card.get(name)
        ],
        account=[Text(text(program, label, language), card[name]) for name, label in account if card.get(name)],
        code=barcode.get("value", ""),
        code_text=barcode.get("alternateText", ""),
        texts=[
            Text(text(one, "header", language), text(one, "body", language))
            for one in [*_details(program), *(card.get("textModulesData") or [])]
        ],
        links=[
            Text(text(one, "description", language), one["uri"])
            for one in (card.get("linksModuleData") or {}).get("uris", [])
        ],
        messages=[
            Text(text(one, "header", language), text(one, "body", language))
            for one in [*(card.get("messages") or []), *(program.get("messages") or [])]
        ],
        ended=_STATES.get(card["state"], ""),
    )


def _details(program: dict[str, Any]) -> list[dict[str, Any]]:
    """What an offer's class says beside its title."""
    return [{"header": "", "body": program[name]} for name in ("details", "finePrint") if program.get(name)]


def text(value: dict[str, Any], name: str, language: str) -> str:
    """A text that may have translations beside it: `name` and `localizedName`."""
    translated = value.get(f"localized{name[0].upper()}{name[1:]}")
    return _localized(translated, language) or str(value.get(name) or "")


def _localized(value: dict[str, Any] | None, language: str) -> str:
    if not value:
        return ""
    for one in value.get("translatedValues") or []:
        if one["language"].partition("-")[0] == language:
            return str(one["value"])
    return str((value.get("defaultValue") or {}).get("value", ""))


def _points(value: dict[str, Any], language: str) -> Text:
    balance = value.get("balance") or {}
    money = balance.get("money")
    if money:
        return Text(text(value, "label", language), f"{int(money['micros']) / 1_000_000:.2f} {money['currencyCode']}")
    return Text(text(value, "label", language), str(next(iter(balance.values()), "")))


def _address(image: dict[str, Any] | None) -> str:
    return str(((image or {}).get("sourceUri") or {}).get("uri", ""))
