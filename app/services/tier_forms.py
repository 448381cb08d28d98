"""The form of the tiers: how members come by them, and up to MOST_TIERS of them, whose names may be left empty.

Fields: active ('on'), basis, period, days, grace_days; and of each tier N: id-N, name-N, needs-N, color-N, benefits-N.
Spending is typed in major units.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.db.tiers import TierBasis, TierPeriod
from app.i18n import N_, major_units
from app.services.errors import InvalidForm
from app.services.forms import FormReader
from app.services.tier_views import TierView
from passes.colors import ColorError, parse

MOST_TIERS = 6
MOST_DAYS = 3660
USUAL_DAYS = 365
MOST_GRACE_DAYS = 366
_MOST_COUNTED = 10**8
_LONGEST_NAME, _LONGEST_BENEFITS = 30, 300


@dataclass(frozen=True, slots=True)
class TierRow:
    """A tier as typed. Without an id it is new. Without a colour it has the brand's."""

    id: UUID | None
    name: str
    needs: int
    color: str
    benefits: str


@dataclass(frozen=True, slots=True)
class TierForm:
    """The whole form. Tiers have different names and different limits, the lowest first."""

    active: bool = False
    basis: TierBasis = TierBasis.SPENDING
    period: TierPeriod = TierPeriod.ROLLING
    days: int = USUAL_DAYS
    grace_days: int = 30
    tiers: tuple[TierRow, ...] = ()


def read(form: Mapping[str, str], currency: str, known: Sequence[UUID]) -> TierForm:
    """What was typed. `known` are the tiers that can be changed. Raises InvalidForm."""
    reader = FormReader(form)
    basis = TierBasis(reader.choice("basis", set(TierBasis), TierBasis.SPENDING))
    period = TierPeriod(reader.choice("period", set(TierPeriod), TierPeriod.ROLLING))
    days = reader.number("days", 1, MOST_DAYS, optional=period is TierPeriod.CALENDAR) or USUAL_DAYS
    grace_days = reader.number("grace_days", 0, MOST_GRACE_DAYS)
    typed = {
        place: _tier(reader, place, basis, currency, known) for place in range(MOST_TIERS) if _is_typed(form, place)
    }
    _check_each_once(reader, typed)
    active = form.get("active") == "on"
    if active and not typed:
        reader.wrong("name-0", "required", N_("Name at least one tier, or switch them off."))
    if reader.errors:
        raise InvalidForm(reader.errors)
    tiers = tuple(sorted(typed.values(), key=lambda tier: tier.needs))
    return TierForm(active, basis, period, days, grace_days or 0, tiers)


def _is_typed(form: Mapping[str, str], place: int) -> bool:
    return any(form.get(f"{name}-{place}", "").strip() for name in ("name", "needs", "color", "benefits"))


def _tier(reader: FormReader, place: int, basis: TierBasis, currency: str, known: Sequence[UUID]) -> TierRow:
    needs, color = f"needs-{place}", f"color-{place}"
    if basis is TierBasis.SPENDING:
        limit = reader.amount(needs, currency)
    else:
        limit = reader.number(needs, 0, _MOST_COUNTED, optional=True) or 0
    kept = reader.form.get(f"id-{place}", "")
    if kept and kept not in map(str, known):
        reader.wrong(f"name-{place}", "unknown-choice", N_("Please load the page again."))
    return TierRow(
        next((one for one in known if str(one) == kept), None),
        reader.line(f"name-{place}", _LONGEST_NAME),
        limit,
        reader.color(color) if reader.form.get(color, "").strip() else "",
        reader.line(f"benefits-{place}", _LONGEST_BENEFITS, optional=True),
    )


def _check_each_once(reader: FormReader, typed: Mapping[int, TierRow]) -> None:
    names: set[str] = set()
    limits: set[int] = set()
    ids: set[UUID | None] = {None}
    for place, tier in typed.items():
        if tier.name in names:
            reader.wrong(f"name-{place}", "name-taken", N_("Another tier has this name."))
        if tier.needs in limits and f"needs-{place}" not in reader.errors:
            reader.wrong(f"needs-{place}", "limit-taken", N_("Another tier has this limit. Each needs its own."))
        if tier.id is not None and tier.id in ids:
            reader.wrong(f"name-{place}", "unknown-choice", N_("Please load the page again."))
        names.add(tier.name)
        limits.add(tier.needs)
        ids.add(tier.id)


def as_typed(values: TierForm, currency: str) -> dict[str, str]:
    """The rules as the fields of their form."""
    fields = {
        "active": "on" if values.active else "",
        "basis": values.basis.value,
        "period": values.period.value,
        "days": str(values.days),
        "grace_days": str(values.grace_days),
    }
    for place, tier in enumerate(values.tiers):
        limit = str(major_units(tier.needs, currency)) if values.basis is TierBasis.SPENDING else str(tier.needs)
        fields |= {f"id-{place}": str(tier.id or ""), f"name-{place}": tier.name, f"needs-{place}": limit}
        fields |= {f"color-{place}": tier.color, f"benefits-{place}": tier.benefits}
    return fields


def shown_color(tier: TierView, brand_color: str) -> str:
    """The tier's colour as HEX, the brand's when it has none of its own."""
    try:
        return parse(tier.color or brand_color).hex
    except ColorError:
        return parse(brand_color).hex
