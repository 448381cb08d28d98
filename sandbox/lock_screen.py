"""What a phone says on its lock screen when a pass has changed, as Apple's phones do."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sandbox.pass_face import HeldPass

GENERIC = "Card updated"
"""What a phone says when several fields want to speak at once."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message on the lock screen. `at` is when it appeared."""

    at: datetime
    title: str
    text: str
    card: str
    """The card's id on this phone: the pass's serial number, or the Google object's id."""


def changed_fields(old: HeldPass, new: HeldPass) -> list[str]:
    """The keys of the fields whose values differ, those that are new too."""
    before = old.fields()
    return [key for key, one in new.fields().items() if before.get(key, {}).get("value") != one["value"]]


def message(old: HeldPass, new: HeldPass, language: str) -> str | None:
    """What is said about the change; None when the phone stays silent.

    One changed field with a change message speaks, with its new value in place of %@. When several want to speak, the
    phone only says that the card has changed. Fields without a change message never speak.
    """
    texts = list(_change_messages(old, new, language))
    if len(texts) > 1:
        return GENERIC
    return texts[0] if texts else None


def _change_messages(old: HeldPass, new: HeldPass, language: str) -> Iterator[str]:
    fields = new.fields()
    for key in changed_fields(old, new):
        one = fields[key]
        if "changeMessage" in one:
            text = new.localized(str(one["changeMessage"]), language)
            yield text.replace("%@", new.shown(one, language).value)
