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
# (endpoint, shown name, who may open it). The page is marked for every endpoint that begins like its own.
_PAGES = (
    ("office.overview", N_("Overview"), OFFICE),
    ("office.program", N_("Programme"), MANAGERS),
    ("office.locations", N_("Locations"), MANAGERS),
    ("office.staff", N_("Staff"), MANAGERS),
    ("office.members", N_("Members"), OFFICE),
    ("office.messages", N_("Messages"), OFFICE),
    ("office.join_codes", N_("Join codes"), MANAGERS),
    ("office.delivery", N_("Wallets"), OFFICE),
    ("poster.page", N_("Poster"), OFFICE),
    ("office.keys", N_("API keys"), OWNERS),
)


@dataclass(frozen=True, slots=True)
class Way:
    """One entry of the office's navigation."""

    name: str
    address: str
    here: bool


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
    """The office pages that the signed-in person may open."""
    person = current_staff()
    return [
        Way(text().gettext(name), url_for(endpoint), (request.endpoint or "").startswith(endpoint))
        for endpoint, name, roles in _PAGES
        if person is not None and person.role in roles and has_page(endpoint)
    ]


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
