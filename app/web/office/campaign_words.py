"""Campaigns in words: their states, times, ways and what comes with them."""

from datetime import datetime
from zoneinfo import ZoneInfo

from app.db.campaigns import Benefit, CampaignState, Medium, Repeat, RunPhase
from app.i18n import LANGUAGES, N_, Money
from app.services import campaign_reasons
from app.services.campaigns import CampaignValues
from app.services.errors import Refused
from app.services.programs import ProgramView
from app.web.language import text

STATES = {
    CampaignState.DRAFT: N_("Draft"),
    CampaignState.APPROVAL: N_("Waits for approval"),
    CampaignState.SCHEDULED: N_("Scheduled"),
    CampaignState.RUNNING: N_("Being sent"),
    CampaignState.PAUSED: N_("Paused"),
    CampaignState.STOPPED: N_("Stopped"),
    CampaignState.DONE: N_("Sent"),
}
LOOKS = {
    CampaignState.APPROVAL: "warn",
    CampaignState.PAUSED: "warn",
    CampaignState.RUNNING: "good",
    CampaignState.STOPPED: "bad",
}
PHASES = {
    RunPhase.PLANNED: N_("About to begin"),
    RunPhase.CHOOSING: N_("Its people are being chosen"),
    RunPhase.SENDING: N_("Being sent"),
    RunPhase.DONE: N_("Sent"),
    RunPhase.STOPPED: N_("Stopped"),
    RunPhase.MISSED: N_("Not sent: its turn had passed"),
}
MEDIA = {
    Medium.SMS: N_("By SMS"),
    Medium.WALLET: N_("On the card in the wallet, free of charge"),
    Medium.WALLET_FIRST: N_("On the card in the wallet, and by SMS for the rest"),
}
BENEFITS = {
    Benefit.NONE: N_("Nothing"),
    Benefit.CREDIT: N_("Credit with a personal code"),
    Benefit.REWARD: N_("A reward"),
    Benefit.DOUBLE_STAMPS: N_("Double stamps for a time"),
}
TIMES = {
    "now": N_("As soon as somebody presses “Send now”"),
    Repeat.ONCE: N_("Once, on a day at a time"),
    Repeat.WEEKLY: N_("Every week"),
    Repeat.BIRTHDAY: N_("So many days before each birthday"),
    Repeat.AFTER_VISIT: N_("So many days after the last visit"),
    Repeat.BEFORE_LAPSE: N_("So many days before a credit or reward lapses"),
}
_WEEKLY = (
    N_("Every Monday at %(time)s"),
    N_("Every Tuesday at %(time)s"),
    N_("Every Wednesday at %(time)s"),
    N_("Every Thursday at %(time)s"),
    N_("Every Friday at %(time)s"),
    N_("Every Saturday at %(time)s"),
    N_("Every Sunday at %(time)s"),
)


def options(names: dict[str, str]) -> list[tuple[str, str]]:
    """Names as the options of a list to choose from."""
    return [(str(value), text().gettext(name)) for value, name in names.items()]


def weekdays() -> list[tuple[str, str]]:
    """0 is Monday."""
    names = text().locale.days["stand-alone"]["wide"]
    return [(str(day), names[day]) for day in range(7)]


def when(values: CampaignValues, program: ProgramView) -> str:
    """When it goes out, without its last day."""
    words = text()
    if values.repeat is Repeat.ONCE:
        if values.starts_at is None:
            by_hand = TIMES["now"]
            return words.gettext(by_hand)
        return words.moment(values.starts_at, program.time_zone)
    at = words.digits(f"{values.at_time:%H:%M}") if values.at_time else ""
    days = values.offset_days
    match values.repeat:
        case Repeat.WEEKLY:
            return words.gettext(_WEEKLY[values.weekday or 0], time=at)
        case Repeat.BIRTHDAY if days == 0:
            return words.gettext("On each birthday, at %(time)s", time=at)
        case Repeat.BIRTHDAY:
            return words.ngettext(
                "%(n)s day before each birthday, at %(time)s",
                "%(n)s days before each birthday, at %(time)s",
                days,
                time=at,
            )
        case Repeat.AFTER_VISIT:
            return words.ngettext(
                "%(n)s day after the last visit, at %(time)s",
                "%(n)s days after the last visit, at %(time)s",
                days,
                time=at,
            )
        case _:
            return words.ngettext(
                "%(n)s day before a credit or reward lapses, at %(time)s",
                "%(n)s days before a credit or reward lapses, at %(time)s",
                days,
                time=at,
            )


def until(values: CampaignValues, program: ProgramView) -> str:
    """The last day of one that repeats; empty when there is none."""
    if values.repeat is Repeat.ONCE or values.repeat_until is None:
        return ""
    # The day is over at the moment that is kept.
    last = values.repeat_until.astimezone(ZoneInfo(program.time_zone)).date().toordinal() - 1
    return text().gettext("Until %(day)s", day=values.repeat_until.date().fromordinal(last))


def benefit(values: CampaignValues, program: ProgramView) -> str:
    """What comes with it."""
    words, days = text(), values.benefit_days
    match values.benefit:
        case Benefit.CREDIT:
            return words.ngettext(
                "%(amount)s of credit with a personal code, for %(n)s day",
                "%(amount)s of credit with a personal code, for %(n)s days",
                days,
                amount=Money(values.benefit_minor, program.currency),
            )
        case Benefit.REWARD if values.benefit_type_id is not None:
            return words.gettext("A reward: %(name)s", name=values.benefit_name)
        case Benefit.REWARD:
            return words.ngettext(
                "A reward: %(name)s, for %(n)s day",
                "A reward: %(name)s, for %(n)s days",
                days,
                name=values.benefit_name,
            )
        case Benefit.DOUBLE_STAMPS:
            return words.ngettext("Double stamps for %(n)s day", "Double stamps for %(n)s days", days)
        case _:
            return words.gettext(BENEFITS[Benefit.NONE])


def quiet(until: datetime | None, program: ProgramView) -> str:
    """Why nothing goes out at the moment; '' when the quiet hours hold nothing back."""
    if until is None:
        return ""
    when = text().moment(until, program.time_zone)
    return text().gettext("These are quiet hours: the rest goes out from %(when)s.", when=when)


def skipped(reasons: dict[str, int]) -> list[tuple[str, int]]:
    """Why some get nothing, and how many, the most first."""
    found = [(text().gettext(campaign_reasons.held(reason)), members) for reason, members in reasons.items()]
    return sorted(found, key=lambda one: -one[1])


def language(code: str) -> str:
    return LANGUAGES.get(code, code)


def told(error: Refused | None) -> str:
    return error.text(text()) if error is not None else ""
