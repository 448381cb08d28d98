"""Which column of an old register holds what: guessed from the headings, in four languages."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache

from app.i18n import LANGUAGES, N_, translator
from app.services import register_file
from app.services.errors import Refused

# What a column can hold → what people call it.
FIELDS = {
    "phone": N_("Phone number"),
    "name": N_("Name"),
    "last_name": N_("Last name"),
    "email": N_("E-mail"),
    "birth_date": N_("Birthday"),
    "city": N_("City"),
    "language": N_("Language"),
    "stamps": N_("Stamps"),
    "old_card": N_("Number of the old card"),
    "consent": N_("Agreed to offers by SMS"),
    "joined_on": N_("Joined on"),
}

# What holds the stamps of a further stamp card: this, and the card's id.
STAMPS_ON = "stamps:"

# Headings as registers have them: English, Finnish, Russian, Persian. Compared without case, spaces and signs.
_HEADINGS = {
    "phone": (
        "phone, phone number, mobile, mobile number, mobile phone, cell, cell phone, cellphone, tel, telephone, gsm, "
        "msisdn, puhelin, puhelinnumero, puh, puhnro, matkapuhelin, kännykkä, телефон, номер телефона, мобильный, "
        "мобильный телефон, моб, тел, сотовый, تلفن, شماره تلفن, موبایل, شماره موبایل, تلفن همراه, شماره همراه, همراه"
    ),
    "name": (
        "name, full name, first name, firstname, given name, forename, customer, customer name, client, member, "
        "nimi, koko nimi, etunimi, asiakas, asiakkaan nimi, имя, фио, ф.и.о., клиент, имя клиента, "
        "نام, نام کامل, نام مشتری, مشتری, نام و نام خانوادگی"
    ),
    "last_name": "last name, lastname, surname, family name, sukunimi, фамилия, نام خانوادگی, فامیلی",
    "email": (
        "email, e-mail, mail, email address, sähköposti, sähköpostiosoite, s-posti, почта, эл. почта, "
        "электронная почта, имейл, ایمیل, پست الکترونیک, رایانامه"
    ),
    "birth_date": (
        "birthday, birth date, birthdate, date of birth, dob, born, syntymäpäivä, syntymäaika, synt.aika, "
        "день рождения, дата рождения, др, تاریخ تولد, تولد, روز تولد"
    ),
    "city": "city, town, place, kaupunki, paikkakunta, kunta, postitoimipaikka, город, населенный пункт, شهر",
    "language": "language, lang, kieli, asiointikieli, язык, زبان",
    "stamps": (
        "stamps, stamp, stamp balance, points, balance, visits, leimat, leima, leimoja, saldo, pisteet, käynnit, "
        "штампы, печати, баллы, отметки, визиты, مهر, مهرها, تعداد مهر, امتیاز"
    ),
    "old_card": (
        "card, card number, card no, card id, cardnumber, loyalty card, membership number, member number, member no, "
        "member id, customer number, kortti, kortin numero, korttinumero, jäsennumero, asiakasnumero, "
        "карта, номер карты, карта лояльности, کارت, شماره کارت, کارت عضویت, شماره عضویت"
    ),
    "consent": (
        "consent, sms consent, marketing, marketing consent, sms marketing, offers, opt in, optin, newsletter, "
        "markkinointi, markkinointilupa, sms-lupa, suostumus, lupa, согласие, реклама, рассылка, "
        "согласие на рассылку, رضایت, رضایت تبلیغات, تبلیغات, پیامک تبلیغاتی"
    ),
    "joined_on": (
        "joined, join date, joined on, date joined, member since, created, created at, registered, "
        "registration date, liittynyt, liittymispäivä, jäsen alkaen, rekisteröity, luotu, "
        "дата вступления, дата регистрации, регистрация, вступил, تاریخ عضویت, تاریخ ثبت نام, عضویت از"
    ),
}


def _flat(heading: str) -> str:
    """A heading without case, spaces, signs and the two Arabic letters that Persian keyboards mix up."""
    text = unicodedata.normalize("NFKC", heading).casefold().replace("ي", "ی").replace("ك", "ک").replace("ё", "е")
    return re.sub(r"[\W_]+", "", text)


@cache
def _meanings() -> dict[str, str]:
    """Flat heading → field: as registers have them, and as Leima's own pages call them."""
    own = {_flat(translator(language).gettext(name)): field for language in LANGUAGES for field, name in FIELDS.items()}
    return own | {_flat(name): field for field, names in _HEADINGS.items() for name in names.split(",")}


@cache
def _words_for_stamps() -> frozenset[str]:
    return frozenset(heading for heading, field in _meanings().items() if field == "stamps")


def guessed_in(file: register_file.RegisterFile, cards: Mapping[str, str]) -> dict[str, int]:
    """Field → column of a file. `cards`: what holds the stamps of a stamp card → the card's name."""
    if file.has_heading:
        return guessed(file.headings, cards)
    first = next(register_file.records(file.content, file.start, file.delimiter))[0]
    return guessed_by_content(first)


def guessed(headings: Sequence[str], cards: Mapping[str, str] | None = None) -> dict[str, int]:
    """Field → column, for the headings that are known. The first of several columns of a kind is taken."""
    found: dict[str, int] = {}
    known = _meanings()
    for place, heading in enumerate(headings):
        plain = re.sub(r"[(\[].*", "", heading)
        field = known.get(_flat(heading)) or _card_of(_flat(heading), cards or {}) or known.get(_flat(plain))
        if field and field not in found:
            found[field] = place
    return found


def _card_of(heading: str, cards: Mapping[str, str]) -> str | None:
    """The stamp card that a flat heading names: 'Lunch', 'Stamps Lunch', 'Lunch (stamps)'."""
    for field, name in cards.items():
        card = _flat(name)
        rests = {heading.removeprefix(card), heading.removesuffix(card)} - {heading}
        if card and rests & ({""} | _words_for_stamps()):
            return field
    return None


def guessed_by_content(record: Sequence[str]) -> dict[str, int]:
    """Field → column for a file without headings, by the look of its first row: only what is certain."""
    found: dict[str, int] = {}
    for place, cell in enumerate(record):
        digits = sum(char.isdecimal() for char in cell)
        if "@" in cell:
            found.setdefault("email", place)
        elif 8 <= digits <= 15 and re.fullmatch(r"\+?[\d ()\-]+", cell.strip()) and not _looks_like_a_day(cell):
            found.setdefault("phone", place)
    return found


def _looks_like_a_day(cell: str) -> bool:
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\d", cell.strip()))


def chosen(form: Mapping[str, str], columns: int, cards: Mapping[str, str]) -> dict[str, int]:
    """Field → column as somebody chose them: form fields `column_<place>` hold a field's name or nothing. `cards`: see
    `guessed_in`.

    Raises Refused without a column of phone numbers, or with two of one kind.
    """
    found: dict[str, int] = {}
    for place in range(columns):
        field = form.get(f"column_{place}", "")
        if field not in FIELDS and field not in cards:
            continue
        if field in found:
            raise Refused(
                "column-twice",
                N_("Two columns hold the same. Choose one of them, and nothing for the other."),
                field=f"column_{place}",
            )
        found[field] = place
    if "phone" not in found:
        raise Refused("no-phone-column", N_("Choose the column that holds the phone numbers."), field="columns")
    return found
