"""What a programme's SMS take in a day: counted before the provider is asked, against the daily cap.

Offers wait when the cap is reached. What people need goes on to twice the cap; who gets there is being pumped.
"""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app import clock
from app.db.messages import SmsDay, SmsMessage
from app.db.programs import Program
from app.services import sms_rules
from app.services.context import Context
from app.services.sms_rules import Rules

# How many times the cap the messages that people need may cost.
NEEDED_TIMES = 2


@dataclass(frozen=True, slots=True)
class Standing:
    """A programme's day so far, and what its manager should know. Costs in millionths, the cap in minor units.

    `offers_wait` and `all_wait`: the cap, or twice the cap, has kept messages back. `stopped_at`: nothing goes out, as
    the provider suspects pumping.
    """

    messages: int
    parts: int
    cost_micro: int
    waiting: int
    cap_minor: int | None
    cap_micro: int | None
    currency: str
    offers_wait: bool
    all_wait: bool
    stopped_at: datetime | None

    @property
    def is_alarm(self) -> bool:
        return self.offers_wait or self.all_wait or self.stopped_at is not None


def standing(ctx: Context, program_id: UUID) -> Standing:
    with ctx.sessions() as session:
        program = session.get_one(Program, program_id)
        rules = sms_rules.of(session, program)
        row = session.get(SmsDay, (program_id, day_of(program, clock.now())))
        cost, held, cap = (row.cost_micro, row.held, rules.daily_cap_micro) if row else (0, 0, rules.daily_cap_micro)
        waits = held > 0 and cap is not None
        return Standing(
            messages=row.messages if row else 0,
            parts=row.parts if row else 0,
            cost_micro=cost,
            waiting=held,
            cap_minor=rules.daily_cap_minor,
            cap_micro=cap,
            currency=program.currency,
            offers_wait=waits,
            all_wait=waits and cap is not None and cost + rules.part_price_micro > NEEDED_TIMES * cap,
            stopped_at=rules.stopped_at,
        )


def day_of(program: Program, at: datetime) -> date:
    """The programme's day, on which a message that was begun at this moment counts."""
    return at.astimezone(ZoneInfo(program.time_zone)).date()


def locked_day(session: Session, program: Program, at: datetime) -> SmsDay:
    """The day's counters, locked: messages of one programme are begun one after the other."""
    day = day_of(program, at)
    fresh = {"messages": 0, "parts": 0, "cost_micro": 0, "held": 0}
    session.execute(
        insert(SmsDay)
        .values(program_id=program.id, day=day, **fresh)
        .on_conflict_do_nothing(index_elements=["program_id", "day"])
    )
    query = select(SmsDay).where(SmsDay.program_id == program.id, SmsDay.day == day).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one()


def fits(rules: Rules, day: SmsDay, cost_micro: int, *, marketing: bool) -> bool:
    """Whether the day has room for another message of this cost."""
    cap = rules.daily_cap_micro
    return cap is None or day.cost_micro + cost_micro <= cap * (1 if marketing else NEEDED_TIMES)


def change(session: Session, message: SmsMessage, *, messages: int, parts: int, cost_micro: int) -> None:
    """Change what the day counts on which this message was begun. The counters never fall below nothing."""
    if message.program_id is None or message.sent_at is None:
        return
    program = session.get_one(Program, message.program_id)
    change_day(session, program, message.sent_at, messages=messages, parts=parts, cost_micro=cost_micro)


def change_day(session: Session, program: Program, at: datetime, *, messages: int, parts: int, cost_micro: int) -> None:
    """Change what the day of this moment counts."""
    session.execute(
        update(SmsDay)
        .where(SmsDay.program_id == program.id, SmsDay.day == day_of(program, at))
        .values(
            messages=func.greatest(SmsDay.messages + messages, 0),
            parts=func.greatest(SmsDay.parts + parts, 0),
            cost_micro=func.greatest(SmsDay.cost_micro + cost_micro, 0),
        )
        .execution_options(synchronize_session=False)
    )


def recount_waiting(session: Session, program: Program, at: datetime) -> None:
    """What the cap has kept back is looked at again, and counted anew."""
    session.execute(
        update(SmsDay).where(SmsDay.program_id == program.id, SmsDay.day == day_of(program, at)).values(held=0)
    )
