"""What the programme's form offers to choose from: time zones, countries, currencies, pass types."""

from functools import lru_cache

from babel.numbers import get_territory_currencies
from phonenumbers import SUPPORTED_REGIONS, country_code_for_region

from app import clock
from app.i18n import Translator, translator
from app.services import forms

Options = list[tuple[str, str]]

_CONTINENTS = (
    "Africa",
    "America",
    "Antarctica",
    "Arctic",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
)


def time_zones(chosen: str) -> Options:
    """Zones by city, and the chosen one whatever it is."""
    cities = {zone for zone in forms.time_zones() if zone.split("/")[0] in _CONTINENTS}
    return [(zone, zone.replace("_", " ")) for zone in sorted(cities | ({chosen} & forms.time_zones()))]


@lru_cache(maxsize=8)
def countries(language: str) -> Options:
    """Countries that have phone numbers, by name, with their calling codes."""
    speaker = translator(language)
    named = [
        (code, f"{speaker.locale.territories.get(code, code)} (\u2066+{country_code_for_region(code)}\u2069)")
        for code in SUPPORTED_REGIONS
    ]
    return sorted(((code, speaker.digits(name)) for code, name in named), key=lambda option: option[1].casefold())


def currencies(language: str, chosen: str) -> Options:
    """Currencies that some country pays with today, by code, and the chosen one whatever it is."""
    names = translator(language).locale.currencies
    codes = _tender() | ({chosen} & names.keys())
    return [(code, f"{code} | {names.get(code, code)}") for code in sorted(codes)]


@lru_cache(maxsize=1)
def _tender() -> frozenset[str]:
    today = clock.now().date()
    return frozenset(code for region in SUPPORTED_REGIONS for code in get_territory_currencies(region, today))


def pass_types(known: list[str], chosen: str, text: Translator) -> Options:
    """The pass types with certificates, and the chosen one even when its certificate is gone."""
    options = [("", text.gettext("The only one of this installation"))]
    options += [(name, name) for name in known]
    if chosen and chosen not in known:
        options.append((chosen, text.gettext("%(name)s (no certificate here)", name=chosen)))
    return options
