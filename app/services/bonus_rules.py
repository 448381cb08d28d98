"""What a programme has set for its bonus: whether it is money or points, how much, how long it lasts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from uuid import UUID

from babel.numbers import get_currency_precision
from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.db.bonus import BonusKind, BonusRules
from app.db.lookup import Compiled
from app.db.people import Member
from app.db.programs import Program
from app.i18n import LANGUAGES, N_
from app.loyalty.bonus import SHARE_PER, earned
from app.services import bonus_words, refresh
from app.services.audit import record
from app.services.bonus_words import Naming
from app.services.context import Actor, Context
from app.services.errors import InvalidForm
from app.services.forms import FormReader
from app.services.programs import ProgramView
from app.services.recent import Recent
from sms.digits import ascii_digits

MOST_POINTS = 1_000_000
LONGEST_DAYS = 3650
LONGEST_NAME = 30


@dataclass(frozen=True, slots=True)
class Rules:
    """A programme's rules; without any it has no bonus. See BonusRules for the units."""

    kind: BonusKind = BonusKind.OFF
    rate: int = 0
    per_minor: int = 100
    smallest_purchase_minor: int = 0
    point_names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    valid_days: int | None = None
    warn_days: int | None = None
    warn_by_sms: bool = False

    @property
    def per(self) -> int:
        """For how many minor units `rate` is given."""
        return SHARE_PER if self.kind is BonusKind.MONEY else self.per_minor

    def gives(self, paid_minor: int, rate: int | None = None) -> int:
        """What a purchase of so much gives by the usual rate, or by this one."""
        if self.kind is BonusKind.OFF or paid_minor < self.smallest_purchase_minor:
            return 0
        return earned(paid_minor, self.rate if rate is None else rate, self.per)


_FIELDS = tuple(Rules.__dataclass_fields__)
_NONE = Rules()
_OWN = Compiled(
    select(*(getattr(BonusRules, name) for name in _FIELDS)).where(BonusRules.program_id == bindparam("program_id"))
)


def within(session: Session, program_id: UUID) -> Rules:
    """The programme's rules, in the caller's transaction."""
    rows = _OWN.within(session, program_id=program_id)
    if not rows:
        return _NONE
    found = Rules(*rows[0])
    return replace(found, kind=BonusKind(found.kind))


def get(ctx: Context, program_id: UUID) -> Rules:
    with ctx.sessions() as session:
        return within(session, program_id)


def naming(program: Program | ProgramView, rules: Rules) -> Naming:
    """What the programme calls its bonus."""
    return Naming(rules.kind, program.currency, program.language, rules.point_names)


# Changing what cards show of bonus makes another version of the programme.
_naming: Recent[Naming] = Recent(256)


def shown_naming(ctx: Context, program: ProgramView) -> Naming:
    """The same, as the cards of this version of the programme show it."""
    return _naming.get((program.id, program.version), lambda: naming(program, get(ctx, program.id)))


def example_minor(currency: str) -> int:
    """A purchase to show an example of, in minor units: 12.50 of a currency with cents."""
    return 12500 if get_currency_precision(currency) != 2 else 1250


def save(ctx: Context, actor: Actor, form: Mapping[str, str]) -> Rules:
    """Set the rules. `form`: kind, share (percent), points, per, smallest_purchase, valid_days, warn_days, warn_by_sms
    ('on'), and name_XX_FORM for each language and plural form.

    What members hold is counted in what it was earned in: the kind can be changed only while nobody holds any.
    Raises InvalidForm.
    """
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        before, after = within(session, program.id), _read(form, program)
        if before.kind not in (BonusKind.OFF, after.kind):
            _check_nobody_holds(session, program)
        changed = [name for name in _FIELDS if getattr(before, name) != getattr(after, name)]
        if not changed:
            return before
        values = {name: getattr(after, name) for name in _FIELDS}
        row = insert(BonusRules).values(program_id=program.id, **values)
        session.execute(row.on_conflict_do_update(index_elements=["program_id"], set_=values))
        session.expire_all()
        if {"kind", "point_names"} & set(changed):
            session.refresh(program)
            program.version += 1
            refresh.announce(session, program.id)
        record(session, actor, "bonus-rules.changed", program.id, fields=sorted(changed))
    return after


def _check_nobody_holds(session: Session, program: Program) -> None:
    held = select(Member.id).where(Member.program_id == program.id, Member.bonus > 0).limit(1)
    if session.scalars(held).first() is not None:
        reader = FormReader({})
        reader.wrong(
            "kind",
            "bonus-held",
            N_("Members hold bonus of this kind. To give no more of it, set what a purchase gives to 0."),
        )
        raise InvalidForm(reader.errors)


def as_typed(rules: Rules, currency: str) -> dict[str, str]:
    """The rules as the fields of their form."""
    typed = {
        "kind": rules.kind.value,
        "share": percent_typed(rules.rate) if rules.kind is BonusKind.MONEY else "",
        "points": str(rules.rate) if rules.kind is BonusKind.POINTS else "",
        "per": money_typed(rules.per_minor, currency) if rules.kind is BonusKind.POINTS else "",
        "smallest_purchase": money_typed(rules.smallest_purchase_minor, currency),
        "valid_days": str(rules.valid_days or ""),
        "warn_days": str(rules.warn_days or ""),
        "warn_by_sms": "on" if rules.warn_by_sms else "",
    }
    for language, forms in rules.point_names.items():
        typed |= {f"name_{language}_{form}": name for form, name in forms.items()}
    return typed


def percent_typed(rate: int) -> str:
    """A share as people type it: 250 → '2.5'."""
    return f"{Decimal(rate).scaleb(-2).normalize():f}"


def money_typed(amount_minor: int, currency: str) -> str:
    """An amount as people type it; '' for nothing."""
    return str(Decimal(amount_minor).scaleb(-get_currency_precision(currency))) if amount_minor else ""


def read_percent(reader: FormReader, name: str) -> int:
    """A share typed in percent, with two decimals at most, in hundredths of a percent."""
    text = re.sub(r"[\s%٪]", "", ascii_digits(reader.form.get(name, ""))).replace("٫", ".").replace(",", ".")
    if re.fullmatch(r"\d{1,3}(\.\d{1,2})?", text) and Decimal(text) <= 100:
        return int(Decimal(text).scaleb(2))
    reader.wrong(name, "invalid-share", N_("Enter percent from 0 to 100, such as 2.5, with two decimals at most."))
    return 0


def read_rate(reader: FormReader, name: str, kind: BonusKind) -> int:
    """What a purchase gives: percent of it, or points."""
    if kind is BonusKind.MONEY:
        return read_percent(reader, name)
    return reader.number(name, 0, MOST_POINTS) or 0


def _read(form: Mapping[str, str], program: Program) -> Rules:
    reader = FormReader(form)
    kind = BonusKind(reader.choice("kind", set(BonusKind), otherwise=BonusKind.OFF))
    if kind is BonusKind.OFF:
        return Rules()
    points = kind is BonusKind.POINTS
    rules = Rules(
        kind=kind,
        rate=read_rate(reader, "points" if points else "share", kind),
        per_minor=(reader.amount("per", program.currency) or 100) if points else 100,
        smallest_purchase_minor=reader.amount("smallest_purchase", program.currency),
        point_names=_names(reader, program.language) if points else {},
        valid_days=reader.number("valid_days", 1, LONGEST_DAYS, optional=True),
        warn_days=reader.number("warn_days", 1, 365, optional=True),
        warn_by_sms=form.get("warn_by_sms") == "on",
    )
    if points and not form.get("per", "").strip():
        reader.wrong("per", "required", N_("Please fill this in."))
    if rules.warn_days is not None and rules.valid_days is not None and rules.warn_days > rules.valid_days:
        reader.wrong("warn_days", "warns-too-early", N_("Warn later: bonus does not last that long."))
    if reader.errors:
        raise InvalidForm(reader.errors)
    return rules


def _names(reader: FormReader, own_language: str) -> dict[str, dict[str, str]]:
    """What points are called: in the programme's language, and in others all forms or none."""
    names: dict[str, dict[str, str]] = {}
    for language in LANGUAGES:
        fields = {form: f"name_{language}_{form}" for form in bonus_words.plural_forms(language)}
        filled = any(reader.form.get(name, "").strip() for name in fields.values())
        if filled or language == own_language:
            names[language] = {form: reader.line(name, LONGEST_NAME) for form, name in fields.items()}
    return names
