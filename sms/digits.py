"""Digits as people type them: ۱۲۳, ١٢٣, １２３ and 123 are the same number."""


def ascii_digits(text: str) -> str:
    """The text with every decimal digit of any script as 0-9; everything else stays as it is."""
    if text.isascii():
        return text
    return "".join(str(int(char)) if char.isdecimal() else char for char in text)
