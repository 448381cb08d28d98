"""Reading the forms of scoring and of classes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from app.db.credit import CustomerClass, PolicyKind, RfmMethod
from app.i18n import N_, major_units
from app.loyalty.rfm import ClassRanges, Policy, Range
from app.services.classing import ClassRules, Scoring, policy_of, ranges_of
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader, minor_units
from sms.digits import ascii_digits

MOST_SCORES = 10
LONGEST_WINDOW = 3650
FIGURES = ("recency", "frequency", "money")
_BETWEEN = re.compile(r"[\s;؛،]+|,(?=\s|$)")
_PERCENT = re.compile(r"(\d{1,3})(?:\.(\d{1,2}))?")
_MOST_COUNTED = 10**6


@dataclass(frozen=True, slots=True)
class ClassForm:
    """A class as typed. `next_day`: when credit is given next; None: as soon as it is the hour. Without `repeats` it
    is only given by hand."""

    name: str
    ranges: ClassRanges
    kind: PolicyKind
    policy: Policy
    spending_days: int
    valid_days: int
    repeats: bool
    every_days: int
    at_hour: int
    next_day: date | None

    @property
    def rules(self) -> ClassRules:
        return ClassRules(self.name, self.ranges, self.policy, self.spending_days)


def read_scoring(form: Mapping[str, str], currency: str) -> Scoring:
    """`method`, `scores`, `window_days`, and for thresholds the limits of each figure as lists: days, purchases,
    amounts in major units, each from the best score's to the second worst's. Raises InvalidForm."""
    reader = FormReader(form)
    method = RfmMethod(reader.choice("method", set(RfmMethod), otherwise=RfmMethod.QUANTILES))
    scores = reader.number("scores", 2, MOST_SCORES) or 5
    window = reader.number("window_days", 1, LONGEST_WINDOW) or 365
    limits: list[tuple[int, ...]] = [(), (), ()]
    if method is RfmMethod.THRESHOLDS and not reader.errors:
        limits = [
            _limits(reader, "recency_limits", scores, ascending=True),
            _limits(reader, "frequency_limits", scores),
            _limits(reader, "money_limits", scores, currency=currency),
        ]
    if reader.errors:
        raise InvalidForm(reader.errors)
    return Scoring(method, scores, window, *limits)


def _limits(
    reader: FormReader, field: str, scores: int, *, ascending: bool = False, currency: str = ""
) -> tuple[int, ...]:
    typed = [part for part in _BETWEEN.split(reader.form.get(field, "").strip()) if part]
    try:
        numbers = [minor_units(part, currency) if currency else _whole(part) for part in typed]
    except (ValueError, Refused):
        reader.wrong(field, "invalid-limits", N_("Enter numbers with spaces between them."))
        return ()
    ordered = sorted(set(numbers), reverse=not ascending)
    if len(numbers) != scores - 1:
        reader.wrong(
            field,
            "limits-count",
            N_("Enter %(count)s numbers: one for each score but the worst."),
            {"count": scores - 1},
        )
    elif numbers != ordered and ascending:
        reader.wrong(field, "limits-order", N_("Begin with the best score: fewest days first, each number larger."))
    elif numbers != ordered:
        reader.wrong(field, "limits-order", N_("Begin with the best score: the largest number first."))
    return tuple(numbers)


def _whole(text: str) -> int:
    number = int(ascii_digits(text))
    if not 0 <= number <= _MOST_COUNTED:
        raise ValueError(text)
    return number


def read_class(form: Mapping[str, str], scores: int, currency: str) -> ClassForm:
    """A class and its policy. Amounts in major units, `share` in percent. Raises InvalidForm."""
    reader = FormReader(form)
    kind = PolicyKind(reader.choice("policy", set(PolicyKind), otherwise=PolicyKind.NONE))
    name = reader.line("name", 40)
    ranges = ClassRanges(*(_range(reader, figure, scores) for figure in FIGURES))
    policy, spending_days = _policy(reader, kind, currency)
    timed = kind is not PolicyKind.NONE
    repeats = timed and form.get("repeats") == "on"
    read = ClassForm(
        name,
        ranges,
        kind,
        policy,
        spending_days,
        valid_days=(reader.number("valid_days", 1, 3650) if timed else None) or 30,
        repeats=repeats,
        every_days=(reader.number("every_days", 1, 366) if repeats else None) or 30,
        at_hour=(reader.number("at_hour", 0, 23, optional=True) if repeats else None) or 0,
        next_day=reader.day("next_day") if repeats else None,
    )
    if reader.errors:
        raise InvalidForm(reader.errors)
    return read


def _range(reader: FormReader, figure: str, scores: int) -> Range:
    least = reader.number(f"{figure}_min", 1, scores) or 1
    most = reader.number(f"{figure}_max", 1, scores) or scores
    if least > most:
        reader.wrong(f"{figure}_max", "range-order", N_("The highest score must not be below the lowest."))
    return least, most


def _policy(reader: FormReader, kind: PolicyKind, currency: str) -> tuple[Policy, int]:
    match kind:
        case PolicyKind.FIXED:
            fixed = reader.amount("amount", currency)
            if not fixed and "amount" not in reader.errors:
                reader.wrong("amount", "required", N_("Enter how much to give."))
            return Policy(fixed_minor=fixed), 90
        case PolicyKind.SHARE:
            share = _basis_points(reader)
            smallest, cap = reader.amount("smallest", currency), reader.amount("cap", currency) or None
            if cap is not None and cap < smallest:
                reader.wrong("cap", "cap-too-small", N_("At most must not be less than at least."))
            days = reader.number("spending_days", 1, LONGEST_WINDOW) or 90
            return Policy(share_bp=share, smallest_minor=smallest, cap_minor=cap), days
        case PolicyKind.NONE:
            return Policy(), 90


def _basis_points(reader: FormReader) -> int:
    plain = ascii_digits(reader.form.get("share", "")).replace("٫", ".").replace(",", ".").strip(" %٪")
    found = _PERCENT.fullmatch(plain)
    share = int(Decimal(plain) * 100) if found else 0
    if not 0 < share <= 10_000:
        reader.wrong("share", "invalid-share", N_("Enter a share such as 5 or 2.5, 100 at most."))
    return share


def scoring_as_typed(scoring: Scoring, currency: str) -> dict[str, str]:
    """The settings as the fields of their form."""
    return {
        "method": scoring.method.value,
        "scores": str(scoring.scores),
        "window_days": str(scoring.window_days),
        "recency_limits": _listed(scoring.recency_limits),
        "frequency_limits": _listed(scoring.frequency_limits),
        "money_limits": _listed([major_units(limit, currency) for limit in scoring.money_limits]),
    }


def _listed(numbers: Sequence[int | Decimal]) -> str:
    return " ".join(str(number) for number in numbers)


def class_as_typed(row: CustomerClass, next_day: date | None, currency: str) -> dict[str, str]:
    """The class as the fields of its form."""
    policy, ranges = policy_of(row), ranges_of(row)
    typed = {
        "name": row.name,
        "policy": row.policy.value,
        "amount": _amount(policy.fixed_minor, currency),
        "share": f"{Decimal(policy.share_bp).scaleb(-2):f}".rstrip("0").rstrip(".") if policy.share_bp else "",
        "smallest": _amount(policy.smallest_minor, currency),
        "cap": _amount(policy.cap_minor or 0, currency),
        "spending_days": str(row.spending_days),
        "valid_days": str(row.valid_days),
        "repeats": "on" if row.next_run_at is not None else "off",
        "every_days": str(row.every_days),
        "at_hour": str(row.at_hour),
        "next_day": next_day.isoformat() if next_day else "",
    }
    for figure, (least, most) in zip(FIGURES, ranges.all, strict=True):
        typed |= {f"{figure}_min": str(least), f"{figure}_max": str(most)}
    return typed


def _amount(minor: int, currency: str) -> str:
    return str(major_units(minor, currency)) if minor else ""
