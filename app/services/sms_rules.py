"""What a programme has set for its SMS: prices, the daily cap, countries, quiet hours."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from uuid import UUID

from babel.numbers import get_currency_precision
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import clock
from app.db.delivery import Channel, OutboxRow, OutboxState
from app.db.messages import SmsMessage, SmsRules
from app.db.programs import Program
from app.i18n import N_
from app.loyalty.quiet_hours import QuietHours
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from sms.delivery_states import State
from sms.digits import ascii_digits
from sms.phones import calling_code, country_of, is_country
from sms.reasons import HELD

# Defaults of a programme that has set nothing.
NUMBER_DAILY_CAP = 20
QUIET_FROM, QUIET_UNTIL = time(21), time(8)
_MICRO_DIGITS = 6
_HIGHEST_PRICE = 10**6 * 10**_MICRO_DIGITS  # a unit of some currencies is worth next to nothing
_HIGHEST_NUMBER_CAP = 1000


@dataclass(frozen=True, slots=True)
class Rules:
    """A programme's rules. Prices are of one part, in millionths of the unit of `currency`; the cap in minor units.

    `countries` (ISO 3166) is never empty. `stopped_at`: since then nothing goes out until a manager has looked.
    """

    currency: str
    part_price_micro: int
    country_prices_micro: Mapping[str, int]
    daily_cap_minor: int | None
    number_daily_cap: int
    countries: tuple[str, ...]
    quiet: QuietHours
    stopped_at: datetime | None

    def cost_micro(self, phone: str, parts: int) -> int:
        """What so many parts to this number cost."""
        return parts * self.country_prices_micro.get(country_of(phone), self.part_price_micro)

    @property
    def daily_cap_micro(self) -> int | None:
        cap = self.daily_cap_minor
        return None if cap is None else cap * 10 ** (_MICRO_DIGITS - get_currency_precision(self.currency))

    def allow(self, phone: str) -> bool:
        """Whether SMS go to this number's country."""
        return country_of(phone) in self.countries


def of(session: Session, program: Program) -> Rules:
    """The programme's rules, or the defaults."""
    row = session.get(SmsRules, program.id)
    return Rules(
        currency=program.currency,
        part_price_micro=row.part_price_micro if row else 0,
        country_prices_micro=row.country_prices_micro if row else {},
        daily_cap_minor=row.daily_cap_minor if row else None,
        number_daily_cap=row.number_daily_cap if row else NUMBER_DAILY_CAP,
        countries=tuple(row.countries if row and row.countries else [program.country]),
        quiet=QuietHours(
            row.quiet_from if row else QUIET_FROM, row.quiet_until if row else QUIET_UNTIL, program.time_zone
        ),
        stopped_at=row.stopped_at if row else None,
    )


def get(ctx: Context, program_id: UUID) -> Rules:
    with ctx.sessions() as session:
        return of(session, session.get_one(Program, program_id))


def require_country(session: Session, program: Program, phone: str) -> None:
    """Raises InvalidForm for a number to which SMS do not go."""
    rules = of(session, program)
    if not rules.allow(phone):
        codes = ", ".join(dict.fromkeys(f"\u2066+{calling_code(country)}\u2069" for country in rules.countries))
        words = N_("Only numbers that begin with one of these can be used here: %(codes)s.")
        raise InvalidForm({"phone": Refused("country-not-served", words, {"codes": codes}, field="phone")})


def as_typed(rules: Rules) -> dict[str, str]:
    """The rules as the fields of their form."""
    typed = {
        "part_price": _price_typed(rules.part_price_micro),
        "daily_cap": "",
        "number_daily_cap": str(rules.number_daily_cap),
        "quiet_from": f"{rules.quiet.start:%H:%M}",
        "quiet_until": f"{rules.quiet.end:%H:%M}",
    }
    if rules.daily_cap_minor is not None:
        typed["daily_cap"] = str(Decimal(rules.daily_cap_minor).scaleb(-get_currency_precision(rules.currency)))
    for country in rules.countries:
        typed[f"country_{country}"] = "on"
        typed[f"price_{country}"] = _price_typed(rules.country_prices_micro.get(country))
    return typed


def save(ctx: Context, actor: Actor, form: Mapping[str, str]) -> Rules:
    """Change the rules. What was held by the old ones is looked at again at once. Raises InvalidForm.

    `form`: part_price, daily_cap, number_daily_cap, quiet_from, quiet_until; country_XX ('on') and price_XX for each
    country, and add_country.
    """
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        values = _read(form, program)
        before = session.get(SmsRules, program.id, with_for_update=True)
        changed = sorted(name for name, value in values.items() if before is None or getattr(before, name) != value)
        session.execute(
            insert(SmsRules)
            .values(program_id=program.id, **values)
            .on_conflict_do_update(index_elements=["program_id"], set_=values)
        )
        session.expire_all()
        record(session, actor, "sms-rules.changed", program.id, fields=changed)
        release(session, program.id)
        return of(session, session.get_one(Program, actor.program_id))


def stop(session: Session, program_id: UUID) -> None:
    """The provider suspects that somebody makes us send for profit: from now on nothing goes out."""
    now = clock.now()
    fresh = {
        "part_price_micro": 0,
        "country_prices_micro": {},
        "number_daily_cap": NUMBER_DAILY_CAP,
        "countries": [],
        "quiet_from": QUIET_FROM,
        "quiet_until": QUIET_UNTIL,
    }
    session.execute(
        insert(SmsRules)
        .values(program_id=program_id, stopped_at=now, **fresh)
        .on_conflict_do_update(index_elements=["program_id"], set_={"stopped_at": now})
    )


def resume(ctx: Context, actor: Actor) -> None:
    """A manager has looked: send again, and begin with what waits."""
    with ctx.sessions.begin() as session:
        resumed = session.execute(
            update(SmsRules)
            .where(SmsRules.program_id == actor.program_id, SmsRules.stopped_at.is_not(None))
            .values(stopped_at=None)
            .returning(SmsRules.program_id)
        ).scalar()
        if resumed is not None:
            record(session, actor, "sms.resumed", actor.program_id)
            release(session, actor.program_id)


def release(session: Session, program_id: UUID) -> None:
    """Have what is held looked at again now."""
    held = select(SmsMessage.id).where(
        SmsMessage.program_id == program_id, SmsMessage.state == State.QUEUED, SmsMessage.reason.in_(HELD)
    )
    session.execute(
        update(OutboxRow)
        .where(
            OutboxRow.channel == Channel.SMS,
            OutboxRow.program_id == program_id,
            OutboxRow.state == OutboxState.WAITING,
            OutboxRow.subject_id.in_(held),
        )
        .values(due_at=clock.now())
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(OutboxRow)
        .where(
            OutboxRow.channel == Channel.CAMPAIGN,
            OutboxRow.program_id == program_id,
            OutboxRow.state == OutboxState.WAITING,
        )
        .values(due_at=clock.now())
        .execution_options(synchronize_session=False)
    )
    session.info.setdefault("doorbells", set()).update({Channel.SMS, Channel.CAMPAIGN})


def _read(form: Mapping[str, str], program: Program) -> dict[str, object]:
    reader = FormReader(form)
    countries = _countries(reader)
    values: dict[str, object] = {
        "part_price_micro": _price(reader, "part_price") or 0,
        "country_prices_micro": {
            country: price for country in countries if (price := _price(reader, f"price_{country}")) is not None
        },
        "daily_cap_minor": reader.amount("daily_cap", program.currency) if form.get("daily_cap", "").strip() else None,
        "number_daily_cap": reader.number("number_daily_cap", 1, _HIGHEST_NUMBER_CAP),
        "countries": countries,
        "quiet_from": _time(reader, "quiet_from"),
        "quiet_until": _time(reader, "quiet_until"),
    }
    if reader.errors:
        raise InvalidForm(reader.errors)
    return values


def _countries(reader: FormReader) -> list[str]:
    ticked: Iterable[str] = [
        name.removeprefix("country_") for name, value in reader.form.items() if name.startswith("country_") and value
    ]
    added = reader.form.get("add_country", "").strip()
    wanted = {*ticked, *([added] if added else [])}
    if not all(is_country(country) for country in wanted):
        reader.wrong("add_country", "unknown-choice", N_("Please choose one from the list."))
    return sorted(wanted)


def _price(reader: FormReader, field: str) -> int | None:
    """A price typed in major units, in millionths; None when the field is empty."""
    text = re.sub(r"[\s٬]", "", ascii_digits(reader.form.get(field, ""))).replace("٫", ".").replace(",", ".")
    if not text:
        return None
    if re.fullmatch(rf"\d{{1,8}}(\.\d{{0,{_MICRO_DIGITS}}})?", text):
        micro = int(Decimal(text).scaleb(_MICRO_DIGITS))
        if micro <= _HIGHEST_PRICE:
            return micro
    reader.wrong(field, "invalid-price", N_("Enter the price of one part, for example 0.07."))
    return None


def _price_typed(micro: int | None) -> str:
    return "" if micro is None else f"{Decimal(micro).scaleb(-_MICRO_DIGITS).normalize():f}"


def _time(reader: FormReader, field: str) -> time | None:
    found = re.fullmatch(r"([01]?\d|2[0-3])[:.]([0-5]\d)(:00)?", ascii_digits(reader.form.get(field, "")).strip())
    if found is None:
        reader.wrong(field, "invalid-time", N_("Enter the time as hours and minutes, for example 21:00."))
        return None
    return time(int(found[1]), int(found[2]))
