"""Seven-digit credit codes, which a customer gets by SMS and a cashier types.

Short codes are guessable, so their strength lies in what is around them: few active at a time, few tries, and a drawing
that keeps every active code at least two slips of the finger away from all others.
"""

import hmac
import math
import unicodedata
from collections.abc import Callable
from uuid import UUID

from sms.digits import ascii_digits

LENGTH = 7
SPACE = 10**LENGTH
_GUESSES, _ODDS = 100, 0.001
_SHORTEST_PEPPER = 16


class CodeSpaceFull(Exception):
    """No free code was found: too many are active in this program. Let some expire, or use shorter validity."""


def draw(random_below: Callable[[int], int]) -> str:
    """A code. `random_below(n)` gives a number from 0 to n - 1 from a secure source, as secrets.randbelow does."""
    return f"{random_below(SPACE):0{LENGTH}d}"


def near(code: str) -> frozenset[str]:
    """All codes that are one wrong digit, or one swap of neighbours, away from this one; not the code itself."""
    wrong = {code[:place] + digit + code[place + 1 :] for place in range(LENGTH) for digit in "0123456789"}
    swapped = {code[:place] + code[place + 1] + code[place] + code[place + 2 :] for place in range(LENGTH - 1)}
    return frozenset((wrong | swapped) - {code})


def choose(any_taken: Callable[[frozenset[str]], bool], draw_one: Callable[[], str], tries: int = 200) -> str:
    """A code that is not taken, nor near one that is.

    `any_taken` tells whether any of some 70 codes is active or at rest: one look at the database. With a hundred
    thousand active codes in a program, every second candidate is turned down. Raises CodeSpaceFull after `tries`.
    """
    for _ in range(tries):
        code = draw_one()
        if not any_taken(near(code) | {code}):
            return code
    raise CodeSpaceFull(f"No free code was found in {tries} tries. Let codes expire sooner, or issue fewer of them.")


def read(text: str) -> str | None:
    """The code that was typed, or None when the text is not one. Digits of any script, spaces and dashes are read."""
    flat = ascii_digits(unicodedata.normalize("NFKC", text))
    kept = "".join(char for char in flat if not char.isspace() and unicodedata.category(char) not in ("Pd", "Cf"))
    return kept if len(kept) == LENGTH and kept.isascii() and kept.isdigit() else None


def grouped(code: str) -> str:
    """The code as people read it: '482 13 57'."""
    return f"{code[:3]} {code[3:5]} {code[5:]}"


def code_hash(pepper: bytes, program_id: UUID, code: str) -> bytes:
    """What is stored: HMAC-SHA256 of the program's 16 bytes and the code's 7 digits, so one code differs by program."""
    if len(pepper) < _SHORTEST_PEPPER:
        raise ValueError(f"the pepper needs at least {_SHORTEST_PEPPER} bytes")
    return hmac.digest(pepper, program_id.bytes + code.encode("ascii"), "sha256")


def guess_odds(active: int, guesses: int) -> float:
    """How likely it is that one of so many random guesses hits one of so many active codes."""
    if active >= SPACE:
        return 1.0 if guesses else 0.0
    return -math.expm1(guesses * math.log1p(-active / SPACE))


def needs_phone_digits(active: int) -> bool:
    """Whether a hundred guesses hit with 0.1% or more: then the till asks the phone's last digits, too."""
    return guess_odds(active, _GUESSES) >= _ODDS
