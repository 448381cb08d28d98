"""Classing: every member's figures, scores and class, worked out by the database in one go.

The rules are app.loyalty.rfm's; tests hold the two against each other. The database looks at purchases without locking
anybody's row, so that tills do not wait; a million members with ten million purchases take it less than a minute.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app import clock
from app.db.credit import CustomerClass, PolicyKind, RfmMethod, RfmSettings
from app.db.delivery import Channel, OutboxRow, OutboxState
from app.db.programs import Program
from app.i18n import N_
from app.loyalty.rfm import ClassRanges, Policy, grid
from app.loyalty.schedule import last_due
from app.services import classing_sql, tasks
from app.services.context import Context
from app.services.errors import Refused

KIND = "classing"
NIGHT_HOUR = 3  # of the programme's day: tills are closed
_LOCK = 5361  # any fixed number that no other advisory lock of ours has
_PREVIEW_MILLISECONDS = 20_000
QUERY_CANCELED = "57014"


@dataclass(frozen=True, slots=True)
class Scoring:
    """How members are scored. See RfmSettings for the limits."""

    method: RfmMethod = RfmMethod.QUANTILES
    scores: int = 5
    window_days: int = 365
    recency_limits: Sequence[int] = ()
    frequency_limits: Sequence[int] = ()
    money_limits: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class ClassRules:
    """What a class takes, and what it gives of what was spent in how many days."""

    name: str
    ranges: ClassRanges
    policy: Policy
    spending_days: int


@dataclass(frozen=True, slots=True)
class ClassSize:
    """How many members a class has (or, with the name None, how many are in no class), what they spent in the window,
    how many of them bought nothing in it, and whom a run of its policy would give how much now."""

    name: str | None
    members: int
    idle: int
    spent_minor: int
    receivers: int
    cost_minor: int

    @property
    def average_minor(self) -> int:
        """What one of those who bought spent in the window."""
        return average(self.spent_minor, self.members - self.idle)


def average(spent_minor: int, buyers: int) -> int:
    """In minor units, half a unit rounded up; 0 when there is nobody."""
    return (2 * spent_minor + buyers) // (2 * buyers) if buyers else 0


def scoring_of(settings: RfmSettings) -> Scoring:
    return Scoring(**{name: getattr(settings, name) for name in Scoring.__dataclass_fields__})


def ranges_of(row: CustomerClass) -> ClassRanges:
    return ClassRanges(
        (row.recency_min, row.recency_max), (row.frequency_min, row.frequency_max), (row.money_min, row.money_max)
    )


def policy_of(row: CustomerClass) -> Policy:
    return Policy(
        fixed_minor=row.amount_minor if row.policy is PolicyKind.FIXED else 0,
        share_bp=row.share_bp if row.policy is PolicyKind.SHARE else 0,
        smallest_minor=row.smallest_minor,
        cap_minor=row.cap_minor,
    )


def rules_of(row: CustomerClass) -> ClassRules:
    return ClassRules(row.name, ranges_of(row), policy_of(row), row.spending_days)


def own_settings(session: Session, program_id: UUID) -> RfmSettings:
    """The programme's settings; the defaults are written when it has none."""
    defaults = {name: getattr(Scoring(), name) for name in Scoring.__dataclass_fields__}
    defaults |= {"recency_limits": [], "frequency_limits": [], "money_limits": []}
    session.execute(
        insert(RfmSettings)
        .values(program_id=program_id, **defaults)
        .on_conflict_do_nothing(index_elements=["program_id"])
    )
    return session.get_one(RfmSettings, program_id)


def own_classes(session: Session, program_id: UUID) -> list[CustomerClass]:
    """In the order in which they are tried."""
    found = select(CustomerClass).where(CustomerClass.program_id == program_id)
    return list(session.scalars(found.order_by(CustomerClass.position, CustomerClass.id)))


def start(session: Session, program_id: UUID) -> None:
    """Have the members classed after the caller's transaction commits."""
    tasks.start(session, program_id, KIND, program_id)


def under_way(session: Session, program_id: UUID) -> bool:
    """Whether the members wait to be classed, or are being classed."""
    row = exists().where(
        OutboxRow.channel == Channel.TASK,
        OutboxRow.subject_id == program_id,
        OutboxRow.state != OutboxState.DEAD,
        OutboxRow.payload["kind"].astext == KIND,
    )
    return bool(session.scalar(select(row)))


def plan_nights(ctx: Context) -> None:
    """Have every programme classed whose night came since it last was. A programme without classes has none to fill."""
    now = clock.now()
    with ctx.sessions.begin() as session:
        rows = session.execute(
            select(RfmSettings.program_id, RfmSettings.classed_at, Program.time_zone)
            .join(Program, Program.id == RfmSettings.program_id)
            .where(exists().where(CustomerClass.program_id == RfmSettings.program_id))
        ).all()
        for program_id, classed_at, time_zone in rows:
            due = classed_at is None or classed_at < last_due(now, NIGHT_HOUR, time_zone)
            if due and not under_way(session, program_id):
                start(session, program_id)


def work(ctx: Context, program_id: UUID, _until: float) -> bool:
    """Class all members of the programme, in one transaction: nobody sees half of it."""
    now = clock.now()
    with ctx.sessions.begin() as session:
        session.execute(
            text("SELECT pg_advisory_xact_lock(:lock, hashtext(:key))"), {"lock": _LOCK, "key": str(program_id)}
        )
        settings = own_settings(session, program_id)
        classes = own_classes(session, program_id)
        scoring, rules = scoring_of(settings), [rules_of(row) for row in classes]
        values = statement_values(program_id, scoring, rules, now) | {"class_ids": [row.id for row in classes]}
        session.execute(text(classing_sql.MEMORY))
        session.execute(text(classing_sql.write(scoring.method)), values)
        session.execute(text(classing_sql.FORGET), {"program": program_id})
        settings.classed_at = now
    return True


def preview(ctx: Context, program_id: UUID, scoring: Scoring, classes: Sequence[ClassRules]) -> list[ClassSize]:
    """The sizes of these classes, scored like this, and what their policies would give now. Nothing is changed.

    While the window is that of the last classing, the figures of that are taken; else all purchases are counted. Last
    comes what fits no class, if anybody. Raises Refused when it takes more than 20 s.
    """
    with ctx.sessions() as session:
        kept = session.get(RfmSettings, program_id)
        known = kept is not None and kept.classed_at is not None and kept.window_days == scoring.window_days
        return _sizes(session, program_id, scoring, classes, known=known)


def _sizes(
    session: Session, program_id: UUID, scoring: Scoring, classes: Sequence[ClassRules], *, known: bool
) -> list[ClassSize]:
    spends = any(rules.policy.share_bp for rules in classes)
    statement = classing_sql.sizes(scoring.method, known=known, spends=spends)
    try:
        session.execute(text(f"SET LOCAL statement_timeout = {_PREVIEW_MILLISECONDS}"))
        session.execute(text(classing_sql.MEMORY))
        rows = session.execute(text(statement), statement_values(program_id, scoring, classes, clock.now())).all()
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", "") != QUERY_CANCELED:
            raise
        raise Refused(
            "preview-too-long",
            N_("There are too many purchases to count while you wait. Save, and look at the sizes in some minutes."),
            status=503,
        ) from None
    found = {place: values for place, *values in rows}
    sizes = [ClassSize(rules.name, *found.get(place, _NOBODY)) for place, rules in enumerate(classes)]
    return sizes + ([ClassSize(None, *found[None])] if None in found else [])


_NOBODY = (0, 0, 0, 0, 0)


def statement_values(
    program_id: UUID, scoring: Scoring, classes: Sequence[ClassRules], at: datetime
) -> dict[str, object]:
    """The parameters of the statements. Limits ascend, as width_bucket wants them."""
    cells = grid([rules.ranges for rules in classes], scoring.scores)
    policies = [rules.policy for rules in classes]
    return {
        "program": program_id,
        "at": at,
        "since": at - timedelta(days=scoring.window_days),
        "scores": scoring.scores,
        "recency_limits": sorted(at - timedelta(days=days) for days in scoring.recency_limits),
        "frequency_limits": sorted(scoring.frequency_limits),
        "money_limits": sorted(scoring.money_limits),
        "recency": [scores.recency for scores, _ in cells],
        "frequency": [scores.frequency for scores, _ in cells],
        "money": [scores.money for scores, _ in cells],
        "places": [place for _, place in cells],
        "policies": list(range(len(classes))),
        "fixed": [policy.fixed_minor for policy in policies],
        "share_bp": [policy.share_bp for policy in policies],
        "smallest": [policy.smallest_minor for policy in policies],
        "cap": [policy.cap_minor for policy in policies],
        "spent_since": [at - timedelta(days=rules.spending_days) for rules in classes],
        "spent_from": at - timedelta(days=max((rules.spending_days for rules in classes), default=0)),
    }
