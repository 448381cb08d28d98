"""Texts as Google Wallet takes them: short, and in several languages at once."""

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from passes.card import CardField, CardLook
from passes.google.errors import PassError

Json: TypeAlias = dict[str, Any]
"""A JSON object."""

_LOCAL = ("localhost", "127.0.0.1", "[::1]")
_URL = re.compile(r"(https?)://([^/?#:\[\]]+|\[[0-9a-fA-F:]+\])(:[0-9]+)?([/?#][^\s]*)?")


def localized(text: str, look: CardLook) -> Json | None:
    """`text` in the look's language and every other that `look.strings` has it in; None when it has none."""
    translations = [
        {"language": language, "value": strings[text]}
        for language, strings in sorted(look.strings.items())
        if language != look.language and strings.get(text)
    ]
    if not translations:
        return None
    return {"defaultValue": {"language": look.language, "value": text}, "translatedValues": translations}


def both(name: str, text: str, look: CardLook, most: int = 0) -> Json:
    """The field `name`, and its `localized…` twin; the twin is None when there are no translations.

    With `most`, all of them are shortened to that many characters.
    """
    known = localized(text, look)
    if most:
        text = shortened(text, most)
        for value in [known["defaultValue"], *known["translatedValues"]] if known else []:
            value["value"] = shortened(value["value"], most)
    return {name: text, "localized" + name[0].upper() + name[1:]: known}


def always_localized(text: str, look: CardLook) -> Json:
    """As `localized`, for fields that have no plain form."""
    return localized(text, look) or {"defaultValue": {"language": look.language, "value": text}}


def shortened(text: str, most: int) -> str:
    """`text`, or as much of it as fits in `most` characters with an ellipsis at its end."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def plain(field: CardField) -> str:
    """The value of a field as text, the same in every language."""
    value = field.value
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise PassError(f"The time {value} has no time zone, so phones would show another hour. Give it one")
        return value.isoformat(" ", "minutes")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f} {field.currency}".rstrip()
    return str(value)


def is_url(text: str) -> bool:
    """Whether the whole text is a web address."""
    return bool(_URL.fullmatch(text))


def web_address(url: str, what: str) -> str:
    """`url` itself. Raises PassError unless Google can use it: https, or http on this machine (for the sandbox)."""
    match = _URL.fullmatch(url)
    if not match or (match[1] != "https" and match[2] not in _LOCAL):
        raise PassError(f"The address of {what} must start with https://, which “{url}” does not")
    return url


def image(url: str, description: str, look: CardLook, what: str) -> Json:
    """An image by its address. Google keeps a copy per address, so another picture needs another address."""
    return {
        "sourceUri": {"uri": web_address(url, what)},
        "contentDescription": always_localized(description, look),
    }


def without_nulls(values: Any) -> Any:
    """The same JSON without the fields that are null, at any depth."""
    if isinstance(values, dict):
        return {name: without_nulls(value) for name, value in values.items() if value is not None}
    return [without_nulls(value) for value in values] if isinstance(values, list) else values


def whole_characters(values: Any) -> None:
    """Raises PassError when a text in these JSON values can't be written as UTF-8."""
    if isinstance(values, str):
        try:
            values.encode()
        except UnicodeEncodeError:
            raise PassError("A text on the card holds half a character (a lone surrogate). Type it anew") from None
    elif isinstance(values, dict):
        for value in values.values():
            whole_characters(value)
    elif isinstance(values, list):
        for value in values:
            whole_characters(value)
