"""The form of a campaign: what a marketer typed, checked field by field, and a campaign as its form."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from babel.numbers import get_currency_precision

from app import clock
from app.db.campaigns import Benefit, Medium, Repeat
from app.i18n import LANGUAGES, N_
from app.loyalty import campaign_text, segments
from app.loyalty.campaign_schedule import moment
from app.loyalty.campaign_text import LONGEST_TEXT, TextError
from app.services.campaigns import CampaignValues
from app.services.errors import InvalidForm
from app.services.forms import FormReader, chosen_id, plain_line
from app.services.programs import ProgramView
from app.services.short_links import TO_CARD, TO_SURVEY
from app.services.sms_by_hand import MOST_PARTS
from sms.digits import ascii_digits
from sms.text import count_parts, downgraded

VARIANTS = ("a", "b")
NOW = "now"  # begins when somebody presses the button; every other time is a Repeat
TIMES = (NOW, *Repeat)
WITH_OFFSET = (Repeat.BIRTHDAY, Repeat.AFTER_VISIT, Repeat.BEFORE_LAPSE)
MOST_HOLDOUT, MOST_OFFSET, MOST_BENEFIT_DAYS = 50, 365, 365
LONGEST_LINK = 500
OWN_LINKS = (TO_CARD, TO_SURVEY)
_USUAL_TIME = time(10)
_TOO_LONG = N_("The message is too long: it makes %(parts)s parts, and %(most)s are the most. Please shorten it.")


def text_field(variant: str, language: str) -> str:
    """The name of the form's field for this text."""
    return f"text_{variant}_{language}"


def read(form: Mapping[str, str], tree: segments.Group, program: ProgramView) -> CampaignValues:
    """The campaign that was typed, for the people of `tree`. Raises InvalidForm with every field that is wrong."""
    reader = FormReader(form)
    values = _values(reader, tree, program)
    if reader.errors:
        raise InvalidForm(reader.errors)
    return values


def draft(form: Mapping[str, str], tree: segments.Group, program: ProgramView) -> CampaignValues:
    """What can be read of a form that is still being filled in: for counting and looking at it."""
    return _values(FormReader(form), tree, program)


def _values(reader: FormReader, tree: segments.Group, program: ProgramView) -> CampaignValues:
    link = _link(reader)
    benefit, minor, name, days, kind = _benefit(reader, program)
    medium = Medium(reader.choice("medium", set(Medium), otherwise=Medium.SMS))
    texts = _texts(reader, program, link=bool(link), code=benefit is Benefit.CREDIT)
    if medium is not Medium.WALLET:
        _check_parts(reader, texts)
    repeat, offset_days, weekday, at_time, starts_at, until = _times(reader, program)
    return CampaignValues(
        name=reader.line("name", 60),
        tree=segments.written(tree),
        medium=medium,
        texts=texts,
        link=link,
        b_percent=(reader.number("b_percent", 1, 99) or 50) if "b" in texts else 0,
        holdout_percent=reader.number("holdout_percent", 0, MOST_HOLDOUT, optional=True) or 0,
        repeat=repeat,
        offset_days=offset_days,
        weekday=weekday,
        at_time=at_time,
        starts_at=starts_at,
        repeat_until=until,
        benefit=benefit,
        benefit_minor=minor,
        benefit_name=name,
        benefit_days=days,
        benefit_type_id=kind,
    )


def _texts(reader: FormReader, program: ProgramView, *, link: bool, code: bool) -> dict[str, dict[str, str]]:
    """Each variant's texts by language. That of the programme's language is for whoever has no own."""
    texts: dict[str, dict[str, str]] = {}
    for variant in VARIANTS:
        found = {}
        for language in LANGUAGES:
            field = text_field(variant, language)
            if typed := reader.paragraphs(field, LONGEST_TEXT):
                found[language] = typed
                _check_text(reader, field, typed, link=link, code=code)
        if found or variant == "a":
            texts[variant] = found
            if program.language not in found:
                words = N_("Write the text in the programme's language: it is for all who have no other.")
                reader.wrong(text_field(variant, program.language), "required", words)
    return texts


def _check_text(reader: FormReader, field: str, text: str, *, link: bool, code: bool) -> None:
    try:
        used = campaign_text.names(text)
    except TextError as error:
        reader.wrong(field, "invalid-text", error.message, error.params)
        return
    if "link" in used and not link:
        words = N_("The text has a {link}, but no link is chosen. Choose one below, or take it out.")
        reader.wrong(field, "no-link", words)
    if "code" in used and not code:
        words = N_("The text has a {code}, but no credit comes with it. Choose one below, or take it out.")
        reader.wrong(field, "no-code", words)


def _check_parts(reader: FormReader, texts: Mapping[str, Mapping[str, str]]) -> None:
    """An SMS of very many parts is a slip, and dear."""
    for variant, found in texts.items():
        for language, text in found.items():
            field, parts = text_field(variant, language), count_parts(downgraded(text)).parts
            if parts > MOST_PARTS and field not in reader.errors:
                reader.wrong(field, "text-too-long", _TOO_LONG, {"parts": parts, "most": MOST_PARTS})


def _link(reader: FormReader) -> str:
    match reader.choice("link", {"none", *OWN_LINKS, "address"}, otherwise="none"):
        case link if link in OWN_LINKS:
            return link
        case "address":
            return _address(reader)
    return ""


def _address(reader: FormReader) -> str:
    """An https address: it opens on people's phones in the programme's name."""
    typed = plain_line(reader.form.get("link_address", ""), 2 * LONGEST_LINK)
    if typed and "://" not in typed:
        typed = f"https://{typed}"
    try:
        parts = urlsplit(typed)
        named = re.fullmatch(r"[^\s.]+(\.[^\s.]+)+", parts.hostname or "")
        good = parts.scheme == "https" and named and parts.username is None and parts.port in (None, 443)
    except ValueError:
        good = False
    if not good or re.search(r"[\s<>\"\\]", typed) or len(typed) > LONGEST_LINK:
        words = N_("Enter an address that begins with https://, for example https://example.com/menu.")
        reader.wrong("link_address", "invalid-link", words)
        return ""
    return typed


def _benefit(reader: FormReader, program: ProgramView) -> tuple[Benefit, int, str, int, UUID | None]:
    """What comes with it, its amount (minor units), its name, for how many days it holds, and its kind."""
    benefit = Benefit(reader.choice("benefit", set(Benefit), otherwise=Benefit.NONE))
    minor, name, days = 0, "", 14
    kind = chosen_id(reader.form.get("benefit_type", "")) if benefit is Benefit.REWARD else None
    if benefit is not Benefit.NONE and kind is None:
        days = reader.number("benefit_days", 1, MOST_BENEFIT_DAYS) or days
    if benefit is Benefit.CREDIT:
        minor = reader.amount("benefit_amount", program.currency)
        if minor == 0 and "benefit_amount" not in reader.errors:
            reader.wrong("benefit_amount", "required", N_("Enter how much each of them gets."))
    if benefit is Benefit.REWARD and kind is None:
        name = reader.line("benefit_name", 60)
    return benefit, minor, name, days, kind


def _times(
    reader: FormReader, program: ProgramView
) -> tuple[Repeat, int, int | None, time | None, datetime | None, datetime | None]:
    """repeat, offset_days, weekday, at_time, starts_at, repeat_until: see app.db.campaigns.Campaign."""
    when = reader.choice("when", set(TIMES), otherwise=NOW)
    if when == NOW:
        return Repeat.ONCE, 0, None, None, None, None
    repeat = Repeat(when)
    at = _time(reader, "at_time")
    if repeat is Repeat.ONCE:
        return repeat, 0, None, None, _once(reader, at, program.time_zone), None
    offset = reader.number("offset_days", 0, MOST_OFFSET) or 0 if repeat in WITH_OFFSET else 0
    weekday = reader.number("weekday", 0, 6) if repeat is Repeat.WEEKLY else None
    first = _day(reader, "first_day", program.time_zone)
    last = _day(reader, "last_day", program.time_zone)
    if first and last and last < first:
        reader.wrong("last_day", "invalid-date", N_("This day is before the first."))
    starts_at = moment(first, at, program.time_zone) if first and at else None
    until = moment(last + timedelta(days=1), time(), program.time_zone) if last else None
    return repeat, offset, weekday, at, starts_at, until


def _once(reader: FormReader, at: time | None, time_zone: str) -> datetime | None:
    """The moment of the one run. A time that the clock skips is refused: nobody can have meant it."""
    day = reader.day("day")
    if day is None:
        if "day" not in reader.errors:
            reader.wrong("day", "required", N_("Please fill this in."))
        return None
    if at is None:
        return None
    starts_at = moment(day, at, time_zone)
    if not is_on_clock(day, at, time_zone):
        words = N_("On this day the clock is put forward, and there is no %(time)s. Choose a time before or after.")
        reader.wrong("at_time", "skipped-time", words, {"time": f"{at:%H:%M}"})
    elif starts_at <= clock.now():
        reader.wrong("day", "time-passed", N_("This moment is over. Choose a later one, or send it at once."))
    return starts_at


def is_on_clock(day: date, at: time, time_zone: str) -> bool:
    """Whether a clock on the wall shows this time on this day: not when summer time skips it."""
    zone = ZoneInfo(time_zone)
    wall = datetime.combine(day, at, zone)
    return wall.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None)


def is_twice(starts_at: datetime, time_zone: str) -> bool:
    """Whether the clock shows this moment's time a second time later that day, as summer time ends."""
    wall = starts_at.astimezone(ZoneInfo(time_zone))
    return wall.utcoffset() != wall.replace(fold=1).utcoffset()


def _day(reader: FormReader, field: str, time_zone: str) -> date | None:
    """A day of a repeated campaign; None when it is empty."""
    day = reader.day(field)
    if day is not None and field == "last_day" and day < clock.now().astimezone(ZoneInfo(time_zone)).date():
        reader.wrong(field, "time-passed", N_("This day is over."))
    return day


def _time(reader: FormReader, field: str) -> time | None:
    typed = ascii_digits(reader.form.get(field, "")).strip()
    found = re.fullmatch(r"([01]?\d|2[0-3])[:.]([0-5]\d)(:00)?", typed)
    if found is None:
        reader.wrong(field, "invalid-time", N_("Enter the time as hours and minutes, for example 10:00."))
        return None
    return time(int(found[1]), int(found[2]))


def empty(program: ProgramView) -> dict[str, str]:
    """The form of a new campaign, with what is usual."""
    return {
        "medium": Medium.SMS,
        "link": "none",
        "b_percent": "50",
        "holdout_percent": "0",
        "benefit": Benefit.NONE,
        "benefit_days": "14",
        "when": NOW,
        "weekday": "0",
        "offset_days": "7",
        "at_time": f"{_USUAL_TIME:%H:%M}",
        text_field("a", program.language): "{program}: ",
    }


def as_typed(values: CampaignValues, program: ProgramView) -> dict[str, str]:
    """A campaign as the fields of its form, but for whom it is for."""
    zone = ZoneInfo(program.time_zone)
    typed = empty(program) | {
        "name": values.name,
        "medium": values.medium,
        "link": values.link if values.link in ("", *OWN_LINKS) else "address",
        "holdout_percent": str(values.holdout_percent),
        "b_percent": str(values.b_percent or 50),
        "benefit": values.benefit,
        "benefit_name": values.benefit_name,
        "benefit_days": str(values.benefit_days),
        "benefit_type": str(values.benefit_type_id or ""),
        "when": NOW if values.repeat is Repeat.ONCE and values.starts_at is None else values.repeat,
    }
    typed["link"] = typed["link"] or "none"
    if typed["link"] == "address":
        typed["link_address"] = values.link
    if values.benefit_minor:
        amount = Decimal(values.benefit_minor).scaleb(-get_currency_precision(program.currency))
        typed["benefit_amount"] = str(amount)
    for variant, texts in values.texts.items():
        typed |= {text_field(variant, language): text for language, text in texts.items()}
    if values.repeat is Repeat.ONCE and values.starts_at is not None:
        wall = values.starts_at.astimezone(zone)
        typed |= {"day": wall.date().isoformat(), "at_time": f"{wall:%H:%M}"}
    elif values.repeat is not Repeat.ONCE:
        typed["offset_days"] = str(values.offset_days)
        typed["weekday"] = str(values.weekday or 0)
        typed["at_time"] = f"{values.at_time or _USUAL_TIME:%H:%M}"
        if values.starts_at is not None:
            typed["first_day"] = values.starts_at.astimezone(zone).date().isoformat()
        if values.repeat_until is not None:
            last = values.repeat_until - timedelta(microseconds=1)
            typed["last_day"] = last.astimezone(zone).date().isoformat()
    return typed
