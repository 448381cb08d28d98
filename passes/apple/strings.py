"""pass.strings: the texts of a pass in other languages.

The format is that of Apple's .strings files ("Internationalization and Localization Guide"): lines of
`"text in pass.json" = "translation";`, in UTF-8.
"""

import re
from collections.abc import Mapping

from passes.apple.errors import PassError

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def pass_strings(translations: Mapping[str, str]) -> bytes:
    """The contents of one pass.strings. Raises PassError for a text that is not valid Unicode."""
    lines = (
        f'"{text.translate(_ESCAPES)}" = "{translation.translate(_ESCAPES)}";\n'
        for text, translation in translations.items()
    )
    try:
        return "".join(lines).encode()
    except UnicodeEncodeError:
        raise PassError("A translation holds half a character (a lone surrogate). Type it anew") from None


def localized_files(language: str, strings: Mapping[str, Mapping[str, str]]) -> dict[str, bytes]:
    """Each language's file by its name in the pass, for a card whose own texts are in `language`.

    The card's own language gets a file, too, with every text as it is. Without it, a phone set to Finnish first and
    English second would show a Finnish card in English, because English is the first of its languages with a file.
    """
    if not strings:
        return {}
    own = {text: text for translations in strings.values() for text in translations}
    files = {}
    for tag, translations in sorted({language: own, **strings}.items()):
        if not _LANGUAGE.fullmatch(tag):
            raise PassError(f"“{tag}” is not a language tag such as fi or zh-Hans")
        files[f"{tag}.lproj/pass.strings"] = pass_strings({text: t for text, t in translations.items() if text and t})
    return files
