"""What kinds of rewards a programme gives: made, changed and stopped in the office.

What members hold stays as it was promised: a change is for what is given from then on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app import clock
from app.db.bonus import BonusKind
from app.db.ledger import Reward, RewardStatus
from app.db.programs import Location, Program
from app.db.rewards import RewardType
from app.i18n import N_
from app.loyalty.coupons import Limits, RewardValue, span
from app.services import refresh
from app.services.audit import record
from app.services.bonus_rules import money_typed, percent_typed, read_percent, within
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader

LONGEST_DAYS = 3650
MOST_REMIND_DAYS = 90
MOST_POINTS = 1_000_000_000
_COPIED = (
    *("id", "name", "details", "value", "value_amount", "valid_days", "valid_from", "valid_until", "remind_days"),
    *("remind_by_sms", "own_pass", "points_price", "for_full_card", "active"),
)


@dataclass(frozen=True, slots=True)
class RewardTypeView:
    """A kind of reward as app.db.rewards.RewardType has it. `open` and `used`: how many members hold, and have used."""

    id: UUID
    name: str
    details: str
    value: RewardValue
    value_amount: int
    valid_days: int | None
    valid_from: date | None
    valid_until: date | None
    remind_days: int | None
    remind_by_sms: bool
    own_pass: bool
    points_price: int | None
    for_full_card: bool
    active: bool
    location_ids: tuple[str, ...]
    weekdays: tuple[int, ...]
    open: int = 0
    used: int = 0

    def limits(self, at: datetime, time_zone: str) -> Limits:
        """When and where one that is given at `at` may be used."""
        begins, ends = span(at, time_zone, self.valid_days, self.valid_from, self.valid_until)
        return Limits(begins, ends, self.location_ids, self.weekdays)


def all_of(ctx: Context, program_id: UUID) -> list[RewardTypeView]:
    """The programme's kinds of rewards, by name, those that are given first."""
    held = (
        select(Reward.type_id, Reward.status, func.count())
        .where(Reward.program_id == program_id, Reward.type_id.is_not(None))
        .group_by(Reward.type_id, Reward.status)
    )
    with ctx.sessions() as session:
        counts = {(type_id, status): number for type_id, status, number in session.execute(held)}
        rows = session.scalars(
            select(RewardType)
            .where(RewardType.program_id == program_id)
            .order_by(RewardType.active.desc(), func.lower(RewardType.name))
        )
        return [
            _view(row, counts.get((row.id, RewardStatus.ISSUED), 0), counts.get((row.id, RewardStatus.REDEEMED), 0))
            for row in rows
        ]


def get(ctx: Context, actor: Actor, type_id: UUID) -> RewardTypeView:
    """Raises Refused (404): there is none."""
    with ctx.sessions() as session:
        return _view(_own(session, actor, type_id))


def save(ctx: Context, actor: Actor, form: Mapping[str, str], type_id: UUID | None = None) -> RewardTypeView:
    """Make a kind of reward, or change one. Fields: those of RewardType; `amount` in major units, `percent`, ticks
    `location_<id>`, `weekday_<0 to 6>`, `remind_by_sms`, `own_pass` and `for_full_card` ('on'). Raises InvalidForm,
    Refused (404)."""
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id, with_for_update=True)
        row = _own(session, actor, type_id) if type_id else None
        values = _read(session, program, form, type_id)
        if values["for_full_card"]:
            session.execute(
                update(RewardType)
                .where(RewardType.program_id == program.id, RewardType.id != type_id)
                .values(for_full_card=False)
            )
        if row is None:
            row = RewardType(program_id=program.id, created_at=clock.now(), **values)
            session.add(row)
            session.flush()
            record(session, actor, "reward-type.made", row.id)
        else:
            changed = sorted(name for name, value in values.items() if getattr(row, name) != value)
            for name in changed:
                setattr(row, name, values[name])
            if changed:
                record(session, actor, "reward-type.changed", row.id, fields=changed)
        if row.for_full_card:
            program.reward_name = row.name  # what cards and pages say of a full one
        program.version += 1  # also for the backs of coupons
        refresh.announce(session, program.id)
        return _view(row)


def set_active(ctx: Context, actor: Actor, type_id: UUID, active: bool) -> None:
    """Stop giving a kind of reward, or give it again. What members hold they may use all the same. Raises Refused."""
    with ctx.sessions.begin() as session:
        row = _own(session, actor, type_id)
        if row.active != active:
            row.active = active
            row.for_full_card = row.for_full_card and active  # then the programme's own reward, by the same name
            record(session, actor, "reward-type.resumed" if active else "reward-type.stopped", row.id)


def as_typed(view: RewardTypeView, currency: str) -> dict[str, str]:
    """A kind of reward as the fields of its form."""
    typed = {
        "name": view.name,
        "details": view.details,
        "value": view.value.value,
        "amount": money_typed(view.value_amount, currency) if view.value is RewardValue.AMOUNT else "",
        "percent": percent_typed(view.value_amount) if view.value is RewardValue.PERCENT else "",
        "valid_from": view.valid_from.isoformat() if view.valid_from else "",
        "valid_until": view.valid_until.isoformat() if view.valid_until else "",
    }
    typed |= {name: str(getattr(view, name) or "") for name in ("valid_days", "remind_days", "points_price")}
    ticks = ["remind_by_sms", "own_pass", "for_full_card"]
    typed |= {name: "on" for name in ticks if getattr(view, name)}
    typed |= {f"location_{location_id}": "on" for location_id in view.location_ids}
    return typed | {f"weekday_{day}": "on" for day in view.weekdays}


def _read(session: Session, program: Program, form: Mapping[str, str], type_id: UUID | None) -> dict[str, object]:
    reader = FormReader(form)
    value = RewardValue(reader.choice("value", set(RewardValue), otherwise=RewardValue.ITEM))
    first, last = reader.day("valid_from"), reader.day("valid_until")
    sold = within(session, program.id).kind is BonusKind.POINTS
    values: dict[str, object] = {
        "name": reader.line("name", 60),
        "details": reader.paragraphs("details", 300),
        "value": value,
        "value_amount": _value_amount(reader, value, program.currency),
        "valid_days": reader.number("valid_days", 1, LONGEST_DAYS, optional=True),
        "valid_from": first,
        "valid_until": last,
        "location_ids": _places(session, program, form),
        "weekdays": [day for day in range(7) if form.get(f"weekday_{day}") == "on"],
        "remind_days": reader.number("remind_days", 0, MOST_REMIND_DAYS, optional=True),
        "remind_by_sms": form.get("remind_by_sms") == "on",
        "own_pass": form.get("own_pass") == "on",
        "points_price": reader.number("points_price", 1, MOST_POINTS, optional=True) if sold else None,
        "for_full_card": form.get("for_full_card") == "on",
    }
    if first and last and last < first:
        reader.wrong("valid_until", "invalid-date", N_("This day is before the first."))
    if values["remind_days"] is not None and values["valid_days"] is None and last is None:
        words = N_("This reward never lapses, so there is nothing to remind of. Give it an end, or leave this empty.")
        reader.wrong("remind_days", "nothing-lapses", words)
    taken = select(RewardType.id).where(RewardType.program_id == program.id, RewardType.name == values["name"])
    if session.scalar(taken.where(RewardType.id != type_id) if type_id else taken) is not None:
        reader.wrong("name", "name-taken", N_("There is a reward with this name already."))
    if reader.errors:
        raise InvalidForm(reader.errors)
    return values


def _value_amount(reader: FormReader, value: RewardValue, currency: str) -> int:
    match value:
        case RewardValue.AMOUNT:
            amount = reader.amount("amount", currency)
            if not amount and "amount" not in reader.errors:
                reader.wrong("amount", "required", N_("Enter how much comes off the bill."))
            return amount
        case RewardValue.PERCENT:
            share = read_percent(reader, "percent")
            if not share and "percent" not in reader.errors:
                reader.wrong("percent", "required", N_("Enter how much comes off the bill."))
            return share
        case _:
            return 0


def _places(session: Session, program: Program, form: Mapping[str, str]) -> list[str]:
    """The ticked locations; none, which is everywhere, when all are."""
    known = [str(id) for id in session.scalars(select(Location.id).where(Location.program_id == program.id))]
    return sorted(id for id in known if form.get(f"location_{id}") == "on")


def _own(session: Session, actor: Actor, type_id: UUID) -> RewardType:
    row = session.get(RewardType, type_id)
    if row is None or row.program_id != actor.program_id:
        raise Refused("reward-type-not-found", N_("There is no such kind of reward."), status=404)
    return row


def _view(row: RewardType, held: int = 0, used: int = 0) -> RewardTypeView:
    return RewardTypeView(
        **{name: getattr(row, name) for name in _COPIED},
        location_ids=tuple(row.location_ids),
        weekdays=tuple(row.weekdays),
        open=held,
        used=used,
    )
