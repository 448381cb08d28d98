"""What a phone says of a card that changed with NOTIFY_ON_UPDATE.

Google words such notifications itself and does not publish how. Here the phone says what a reader of the card would
call the news: the text module “news” when it changed, else the rewards when they did, else the stamps.
"""

from typing import Any

NEWS = "news"
"""The id of the text module that says what is new on the card."""


def news(issuer: str, old: dict[str, Any], new: dict[str, Any]) -> tuple[str, str]:
    """The header and the text for an object that was `old` before."""
    told = _text(new)
    if told and told != _text(old):
        return issuer, told
    rewards = new.get("secondaryLoyaltyPoints")
    if rewards and rewards != old.get("secondaryLoyaltyPoints"):
        return issuer, _points(rewards)
    points = new.get("loyaltyPoints")
    return issuer, _points(points) if points else str(new["state"]).capitalize()


def _text(loyalty_object: dict[str, Any]) -> str:
    modules = loyalty_object.get("textModulesData") or []
    return next((str(one.get("body", "")) for one in modules if one.get("id") == NEWS), "")


def _points(value: dict[str, Any]) -> str:
    balance = next(iter((value.get("balance") or {}).values()), "")
    return f"{value.get('label', '')}: {balance}"
