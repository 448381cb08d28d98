"""The texts of campaigns: personal fields in braces, filled in for each member, and what to mind before sending.

    Hi {first_name|friend}, {stamps_left} more stamps to your {reward}: {link} {stop}

What stands after the bar is written when a member has no such value. Braces stand for fields only. Values are data:
braces in somebody's name mean nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from app.i18n import N_
from sms.keywords import Stop, read
from sms.text import count_parts, downgraded

# Field → what it stands for. In the order of the form.
FIELDS = {
    "first_name": N_("First name"),
    "name": N_("Name"),
    "stamps": N_("Stamps on the card"),
    "stamps_left": N_("Stamps left to a reward"),
    "reward": N_("The reward"),
    "credit": N_("Their credit"),
    "credit_until": N_("Last day of the credit"),
    "code": N_("Code of the credit that comes with it"),
    "program": N_("Name of the programme"),
    "link": N_("Personal link"),
    "stop": N_("How to get no more offers"),
}
# What some members have not: each wants a fallback.
MAY_BE_MISSING = frozenset({"first_name", "name", "credit", "credit_until"})

LONGEST_TEXT = 1000  # characters as written
_MOST_SHOWN = 10
_FIELD = re.compile(r"\{([^{}]*)\}")


class TextError(ValueError):
    """A text whose braces make no sense. `message` is an English text to translate, with `params`."""

    def __init__(self, message: str, params: Mapping[str, object] | None = None) -> None:
        self.message, self.params = message, dict(params or {})
        super().__init__(message % self.params if self.params else message)


@dataclass(frozen=True, slots=True)
class Field:
    """A place that each member's own value goes to."""

    name: str
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class Caution:
    """What to mind before sending. `kind` is a stable word, `message` an English text to translate, with `params`."""

    kind: str
    message: str
    params: Mapping[str, object]


@lru_cache(256)
def parse(text: str) -> tuple[str | Field, ...]:
    """The text as plain words and fields, in their order; nothing is left out. Raises TextError."""
    pieces: list[str | Field] = []
    end = 0
    for found in _FIELD.finditer(text):
        pieces += _plain(text[end : found.start()])
        pieces.append(_field(found[1]))
        end = found.end()
    return (*pieces, *_plain(text[end:]))


def _plain(words: str) -> list[str]:
    if "{" in words:
        around = words[words.index("{") :][:20]
        raise TextError(
            N_("The brace at “%(around)s” is not closed. Write a field as {first_name}."), {"around": around}
        )
    if "}" in words:
        around = words[: words.index("}") + 1][-20:]
        raise TextError(
            N_("The brace at “%(around)s” closes nothing. Write a field as {first_name}."), {"around": around}
        )
    return [words] if words else []


def _field(inside: str) -> Field:
    name, _, fallback = inside.partition("|")
    if name.strip() not in FIELDS:
        known = ", ".join(f"{{{known}}}" for known in FIELDS)
        raise TextError(
            N_("There is no field {%(name)s}. These are known: %(known)s."),
            {"name": name.strip()[:40], "known": known},
        )
    return Field(name.strip(), fallback.strip())


def fields(text: str) -> tuple[Field, ...]:
    """The fields of a text, in their order. Raises TextError."""
    return tuple(piece for piece in parse(text) if isinstance(piece, Field))


def names(text: str) -> frozenset[str]:
    """The names of a text's fields. Raises TextError."""
    return frozenset(field.name for field in fields(text))


def render(text: str, values: Mapping[str, str]) -> str:
    """The text with these values; an empty or missing one gives way to its fallback. Raises TextError."""
    return "".join(
        piece if isinstance(piece, str) else (values.get(piece.name) or piece.fallback) for piece in parse(text)
    )


def with_stop(text: str) -> str:
    """The text with the way out at its end."""
    return f"{text.rstrip()} {{stop}}"


def cautions(text: str, program: str, *, link: bool, code: bool, by_sms: bool, example: str = "") -> list[Caution]:
    """What to mind before this text is sent. `link` and `code`: there is a link, or a credit's code, to be told.

    `program` is the programme's name, `example` the text as somebody reads it. Raises TextError.
    """
    found = []
    used = names(text)
    bare = [field.name for field in fields(text) if field.name in MAY_BE_MISSING and not field.fallback]
    for name in dict.fromkeys(bare):
        words = N_("Who has no %(name)s reads nothing in its place. Write another word: %(example)s.")
        found.append(Caution("no-fallback", words, {"name": f"{{{name}}}", "example": f"{{{name}|…}}"}))
    if link and "link" not in used:
        words = N_("You chose a link, but the text does not have it. Put {link} where it should stand.")
        found.append(Caution("no-link", words, {}))
    if code and by_sms and "code" not in used:
        words = N_("The text does not tell the credit's code. Put {code} where it should stand.")
        found.append(Caution("no-code", words, {}))
    if by_sms and "program" not in used and program.casefold() not in text.casefold():
        words = N_("The text does not say who writes. Put {program} at its beginning.")
        found.append(Caution("no-sender", words, {}))
    if by_sms and not _tells_way_out(text):
        words = N_(
            "The text does not say how to get no more offers. In most countries the law wants it: put {stop} in."
        )
        found.append(Caution("no-stop", words, {}))
    if by_sms and (dear := costly(text, example)):
        words = N_("These characters make the SMS cost about twice as much: %(characters)s")
        found.append(Caution("costly", words, {"characters": " ".join(dear)}))
    return found


def costly(text: str, example: str = "") -> tuple[str, ...]:
    """The characters of a text, each once, that alone make more parts of it, ten at most. `example` is the text as
    somebody reads it; without one, its fallbacks are read.

    None where the language itself is written with other letters: they cannot be avoided. None, too, where they are
    spelt plainly when the message is sent.
    """
    words = downgraded("".join(_with_fallbacks(text)))
    example = downgraded(example or words)
    outside = {char for char in words if char in example and count_parts(char).encoding == "UCS-2"}
    letters = [char for char in words if char.isalpha()]
    if sum(1 for char in letters if char in outside) * 2 > len(letters):
        return ()
    plain = "".join(char for char in example if char not in outside)
    if count_parts(example).parts <= count_parts(plain).parts:
        return ()
    return tuple(char for char in dict.fromkeys(words) if char in outside and char.isprintable())[:_MOST_SHOWN]


def _with_fallbacks(text: str) -> list[str]:
    return [piece if isinstance(piece, str) else piece.fallback for piece in parse(text)]


def _tells_way_out(text: str) -> bool:
    """By the field, or by a word that stops when it is texted back: in capitals, where letters have them."""
    words = re.findall(r"\w+", " ".join(_with_fallbacks(text)))
    return "stop" in names(text) or any(word == word.upper() and isinstance(read(word), Stop) for word in words)
