"""What all office pages share: the blueprint, the way between them, and how errors are shown."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from flask import Blueprint, current_app, request, url_for

from app.db.people import Role
from app.i18n import LANGUAGES, N_
from app.services.errors import InvalidForm, Refused
from app.web.access import MANAGERS, OFFICE, OWNERS, current_staff
from app.web.language import text

blueprint = Blueprint("office", __name__, url_prefix="/office")

ROLE_NAMES = {
    Role.OWNER: N_("Owner"),
    Role.MANAGER: N_("Manager"),
    Role.MARKETER: N_("Marketer"),
    Role.CASHIER: N_("Cashier"),
}
# The office's areas, and the pages in each: (endpoint, shown name, who may open it). A page is marked for every
# endpoint that begins like its own.
_AREAS = (
    (
        N_("Overview"),
        (
            ("office.overview", N_("Overview"), OFFICE),
            ("office.insights", N_("Insights"), OFFICE),
            ("office.nps", N_("NPS"), OFFICE),
            ("office.cashiers", N_("Staff figures"), MANAGERS),
        ),
    ),
    (
        N_("Programme"),
        (
            ("office.program", N_("Card and stamps"), MANAGERS),
            ("office.stamps", N_("Stamp cards"), MANAGERS),
            ("office.bonus_rules", N_("Bonus"), MANAGERS),
            ("office.visits", N_("Visits"), OFFICE),
            ("office.tiers", N_("Tiers"), OFFICE),
            ("office.referral", N_("Referral"), MANAGERS),
            ("office.rewards", N_("Rewards"), OFFICE),
            ("office.locations", N_("Locations"), MANAGERS),
            ("office.staff", N_("Staff"), MANAGERS),
            ("office.joining", N_("Joining form"), MANAGERS),
            ("office.channels", N_("Where people join"), OFFICE),
            ("office.join_codes", N_("Join codes"), MANAGERS),
            ("poster.page", N_("Poster"), OFFICE),
            ("office.keys", N_("API keys"), OWNERS),
            ("office.owners_data", N_("Your data"), OWNERS),
        ),
    ),
    (
        N_("Members"),
        (
            ("office.members", N_("Members"), OFFICE),
            ("office.member_groups", N_("Groups"), OFFICE),
            ("office.segments", N_("Segments"), OFFICE),
            ("office.audience", N_("Ad audiences"), MANAGERS),
            ("office.guard", N_("Guard"), MANAGERS),
            ("office.retention", N_("Personal data"), MANAGERS),
        ),
    ),
    (
        N_("Credit"),
        (
            ("office.classes", N_("Classes and credit"), OFFICE),
            ("office.code_groups", N_("Coupon codes"), OFFICE),
            ("office.credit_rules", N_("Credit rules"), MANAGERS),
        ),
    ),
    (
        N_("Messages"),
        (
            ("office.campaigns", N_("Campaigns"), OFFICE),
            ("office.messages", N_("Messages"), OFFICE),
            ("office.sms_rules", N_("SMS settings"), MANAGERS),
        ),
    ),
    (N_("Wallets"), (("office.delivery", N_("Wallets"), OFFICE),)),
)


@dataclass(frozen=True, slots=True)
class Way:
    """One entry of the office's navigation. An area leads to the first of its pages."""

    name: str
    address: str
    here: bool
    pages: tuple["Way", ...] = ()


@blueprint.app_context_processor
def _navigation() -> dict[str, object]:
    return {"office_ways": ways, "has_page": has_page, "local_day": local_day}


def local_day(moment: datetime, time_zone: str) -> date:
    """The calendar day of a moment in a programme's zone."""
    return moment.astimezone(ZoneInfo(time_zone)).date()


def has_page(endpoint: str) -> bool:
    """Whether this installation has such a page."""
    return endpoint in current_app.view_functions


def ways() -> list[Way]:
    """The areas and pages of the office that the signed-in person may open."""
    person = current_staff()
    areas = []
    for name, listed in _AREAS:
        pages = tuple(
            Way(text().gettext(shown), url_for(endpoint), (request.endpoint or "").startswith(endpoint))
            for endpoint, shown, roles in listed
            if person is not None and person.role in roles and has_page(endpoint)
        )
        if pages:
            areas.append(Way(text().gettext(name), pages[0].address, any(page.here for page in pages), pages))
    return areas


def role_name(role: Role) -> str:
    return text().gettext(ROLE_NAMES[role])


def language_options() -> list[tuple[str, str]]:
    return list(LANGUAGES.items())


def shown_errors(error: InvalidForm | Refused) -> dict[str, str]:
    """Field → what is wrong, in the reader's language. What belongs to no field stands under 'form'."""
    refusals = error.errors if isinstance(error, InvalidForm) else {error.field or "form": error}
    return {field: refusal.text(text()) for field, refusal in refusals.items()}


def typed_form(*switches: str) -> dict[str, str]:
    """What was typed. An unticked box sends nothing, so each of `switches` that is missing is 'off'."""
    typed: dict[str, str] = request.form.to_dict()
    for name in switches:
        typed.setdefault(name, "off")
    return typed
