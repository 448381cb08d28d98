"""Translations: `update` collects texts into app/translations/*.po, `check` fails on a missing or broken one."""

import re
import sys
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from app.i18n import LANGUAGES, TRANSLATIONS  # noqa: E402 - only found after the line above

METHODS = [("**/templates/**.html", "jinja2.ext:babel_extract"), ("**.py", "python")]
OPTIONS = {"**/templates/**.html": {"trimmed": "true", "silent": "false", "newstyle_gettext": "true"}}
# The libraries may not import our gettext. Their errors carry English texts as their first argument.
KEYWORDS = {
    "_": None,
    "N_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "ColorError": None,
    "ContrastWarning": None,
    "InputError": None,
    "Meaning": None,
    "PhoneError": None,
    "PictureError": None,
}
FOLDERS = ("app", "passes", "sms")
# These say when and by whom, which git knows, and would change every file at every update.
CHANGING_HEADERS = re.compile(
    rb'^"(Project-Id-Version|Report-Msgid|POT-Creation|PO-Revision|Last-Trans|Language-Team|Generated-By).*\n',
    re.MULTILINE,
)
PLACEHOLDER = re.compile(r"%\((\w+)\)s")


def collect() -> Catalog:
    """Every text of the code and the templates."""
    catalog = Catalog(charset="utf-8")
    for folder in FOLDERS:
        found = extract_from_dir(
            ROOT / folder, METHODS, OPTIONS, keywords=KEYWORDS, comment_tags=("Translators:",), strip_comment_tags=True
        )
        for file, _line, text, comments, context in found:
            if text and text != ("", ""):
                catalog.add(text, None, [(f"{folder}/{file}", 0)], auto_comments=comments, context=context)
    return catalog


def update() -> None:
    texts = collect()
    for language in LANGUAGES:
        if language == "en":
            continue
        path = TRANSLATIONS / f"{language}.po"
        catalog = read_po(BytesIO(path.read_bytes()), locale=language) if path.exists() else Catalog(locale=language)
        catalog.update(texts, no_fuzzy_matching=True)
        catalog.obsolete.clear()
        for message in catalog:
            message.locations = []
        catalog.header_comment = f"# Leima in {LANGUAGES[language]}."
        catalog.fuzzy = False
        written = BytesIO()
        write_po(written, catalog, sort_output=True, no_location=True, width=110, include_previous=False)
        path.write_bytes(CHANGING_HEADERS.sub(b"", written.getvalue()))
        missing = sum(not _complete(message, catalog) for message in catalog if message.id)
        print(f"{path.relative_to(ROOT)}: {len(catalog)} texts, {missing} to translate")


def problems() -> list[str]:
    """What is wrong with the translations, a line each; empty when all is well."""
    texts = collect()
    found = []
    for language in LANGUAGES:
        if language == "en":
            continue
        path = TRANSLATIONS / f"{language}.po"
        catalog = read_po(BytesIO(path.read_bytes()), locale=language)
        for message in texts:
            if message.id and (wrong := _problem(message, catalog)):
                found.append(f"{path.relative_to(ROOT)}: {wrong}: {message.id!r}")
        known = {message.id for message in texts}
        found += [
            f"{path.relative_to(ROOT)}: no longer used: {message.id!r}"
            for message in catalog
            if message.id not in known
        ]
    return found


def _problem(message: Message, catalog: Catalog) -> str:
    translated = catalog.get(message.id[0] if isinstance(message.id, tuple) else message.id)
    if translated is None or not _complete(translated, catalog):
        return "not translated"
    if translated.fuzzy:
        return "marked fuzzy"
    wanted = _placeholders(message.id)
    for form in translated.string if isinstance(translated.string, tuple) else (translated.string,):
        used = _placeholders(form)
        # A plural form may leave the number out ('one coffee'), never more.
        if used - wanted or (wanted - used) - ({"n"} if isinstance(message.id, tuple) else set()):
            return f"placeholders differ ({', '.join(sorted(wanted ^ used))})"
    return ""


def _complete(message: Message, catalog: Catalog) -> bool:
    if isinstance(message.id, tuple):
        forms = message.string if isinstance(message.string, tuple) else ()
        return len(forms) == catalog.num_plurals and all(forms)
    return bool(message.string)


def _placeholders(text: str | tuple[str, ...] | list[str]) -> set[str]:
    return set(PLACEHOLDER.findall(" ".join(text) if isinstance(text, tuple | list) else text))


def main() -> int:
    if sys.argv[1:] == ["update"]:
        update()
        return 0
    if sys.argv[1:] == ["check"]:
        found = problems()
        print("\n".join(found) if found else "Translations are complete.")
        return 1 if found else 0
    print("Usage: messages.py update|check", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
