"""Card codes: 16 characters of Crockford base32, which a scanner reads from the QR code or a cashier types.

The alphabet (https://www.crockford.com/base32.html) leaves out I, L, O and U, so that what looks alike is alike.
"""

import unicodedata

from sms.digits import ascii_digits

RANDOM_BYTES = 10  # 80 bits: nobody meets a card by guessing
LENGTH = 16
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOK_ALIKES = str.maketrans("OIL", "011")


def code_from(random: bytes) -> str:
    """The card code made of 10 random bytes, which the caller takes from a secure source."""
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"a card code is made of {RANDOM_BYTES} bytes, not {len(random)}")
    return written(int.from_bytes(random), LENGTH)


def written(number: int, length: int) -> str:
    """A number as so many letters of the alphabet, five bits each."""
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(length)))


def number_of(letters: str) -> int:
    """The number that `written` wrote."""
    number = 0
    for letter in letters:
        number = number << 5 | _ALPHABET.index(letter)
    return number


def read(text: str) -> str | None:
    """The card code that was typed or scanned, or None when the text is not one.

    Forgiven are lower case, spaces, any kind of dash, the letters O, I and L, digits of any script, and direction
    marks. U is not in the alphabet, so it is a slip that has no one meaning.
    """
    return squeezed(text, LENGTH)


def squeezed(text: str, length: int) -> str | None:
    """The `length` letters of the alphabet that the text has between what `read` forgives; None if it has others."""
    flat = ascii_digits(unicodedata.normalize("NFKC", text))
    kept = "".join(char for char in flat if not char.isspace() and unicodedata.category(char) not in ("Pd", "Cf"))
    if len(kept) != length or not kept.isascii():
        return None
    code = kept.upper().translate(_LOOK_ALIKES)
    return code if all(char in _ALPHABET for char in code) else None


def grouped(code: str) -> str:
    """The code as people read it: 'ABCD-EFGH-JKMN-PQRS'."""
    return "-".join(code[start : start + 4] for start in range(0, LENGTH, 4))
