"""What the manager sees of the guard: alerts with their evidence, decisions, and the thresholds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from app import clock
from app.db.guard import Alert, AlertState, GuardRule
from app.db.ledger import AuditEntry, LedgerEntry
from app.db.people import Member, Staff
from app.db.programs import ApiKey, Location
from app.db.purchases import Purchase
from app.db.referrals import Referral
from app.i18n import N_
from app.loyalty.guarding import FROM_THE_FIRST, Rule, Threshold
from app.loyalty.ledger import Kind, Unit
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.forms import FormReader
from app.services.guard import forget, thresholds

SHOWN_ACTS = 20
_LISTED = 100
_KEPT_FINE = timedelta(days=30)
_THE_ACT_ITSELF = timedelta(seconds=10)  # it is written after it was counted
_A_YEAR_OF_MINUTES = 366 * 24 * 60


@dataclass(frozen=True, slots=True)
class Evidence:
    """One act that made a pattern. `amount` counts stamps, or minor units of credit; `bill_minor` is the purchase."""

    at: datetime
    kind: str
    unit: str
    amount: int
    member_id: UUID | None
    member: str
    staff: str
    location: str
    undone: bool
    bill_minor: int = 0


@dataclass(frozen=True, slots=True)
class AlertView:
    """A pattern. `who` names the subject: a member, a member of staff, an API key."""

    id: UUID
    rule: Rule
    subject: str
    subject_id: UUID
    who: str
    state: AlertState
    times: int
    most: int
    minutes: int
    first_at: datetime
    last_at: datetime
    decided_by: str
    decided_at: datetime | None


def every(ctx: Context, actor: Actor) -> list[AlertView]:
    """What is blocked or to be looked at, the newest first; then what was decided in the last month."""
    recent = (Alert.state != AlertState.FINE) | (Alert.decided_at > clock.now() - _KEPT_FINE)
    query = (
        select(Alert)
        .where(Alert.program_id == actor.program_id, recent)
        .order_by(Alert.state == AlertState.FINE, Alert.last_at.desc())
        .limit(_LISTED)
    )
    with ctx.sessions() as session:
        return [_view(session, alert) for alert in session.scalars(query)]


def waiting(ctx: Context, actor: Actor) -> int:
    """How many patterns nobody has decided about."""
    count = select(func.count()).where(Alert.program_id == actor.program_id, Alert.state != AlertState.FINE)
    with ctx.sessions() as session:
        return session.scalar(count) or 0


def one(ctx: Context, actor: Actor, alert_id: UUID) -> tuple[AlertView, list[Evidence]]:
    """A pattern and the newest acts that made it. Raises Refused: alert-not-found."""
    with ctx.sessions() as session:
        alert = _alert(session, actor, alert_id)
        return _view(session, alert), _evidence(session, alert)


def decide(ctx: Context, actor: Actor, alert_id: UUID, state: AlertState) -> None:
    """A manager's word: it is fine (nothing stays blocked), block it, or show it again.

    Saying it twice is the same as saying it once. A pattern that is fine is counted from the start. Raises Refused:
    alert-not-found, alert-renewed (another alert of the same rule and subject came meanwhile).
    """
    now = clock.now()
    with ctx.sessions.begin() as session:
        alert = _alert(session, actor, alert_id, lock=True)
        if alert.state is state:
            return
        if alert.state is AlertState.FINE and _live_twin(session, alert):
            raise Refused(
                "alert-renewed", N_("This came up again since: decide about the newer line, please."), status=409
            )
        alert.state, alert.decided_at, alert.decided_by = state, now, actor.staff_id
        record(session, actor, f"guard.{state}", alert.id, rule=alert.rule)
        limit = thresholds(session, actor.program_id)[Rule(alert.rule)]
    if state is AlertState.FINE:
        forget(ctx, actor.program_id, Rule(alert.rule), alert.subject_id, limit)


def save_thresholds(ctx: Context, actor: Actor, form: Mapping[str, str]) -> None:
    """Set the thresholds: `<rule>_most`, `<rule>_minutes` and `<rule>_active` (on or off). Raises InvalidForm."""
    reader = FormReader(form)
    rows = []
    for rule in Rule:
        most = reader.number(f"{rule}_most", 0 if rule in FROM_THE_FIRST else 1, 100_000)
        minutes = reader.number(f"{rule}_minutes", 1, _A_YEAR_OF_MINUTES)
        active = form.get(f"{rule}_active") == "on"
        rows.append({"program_id": actor.program_id, "rule": rule, "most": most, "minutes": minutes, "active": active})
    if reader.errors:
        raise InvalidForm(reader.errors)
    new = insert(GuardRule).values(rows)
    kept = {name: new.excluded[name] for name in ("most", "minutes", "active")}
    with ctx.sessions.begin() as session:
        session.execute(new.on_conflict_do_update(index_elements=["program_id", "rule"], set_=kept))
        record(session, actor, "guard.thresholds")


def read_thresholds(ctx: Context, actor: Actor) -> dict[Rule, Threshold]:
    with ctx.sessions() as session:
        return thresholds(session, actor.program_id)


def _alert(session: Session, actor: Actor, alert_id: UUID, *, lock: bool = False) -> Alert:
    alert = session.get(Alert, alert_id, with_for_update=lock or None)
    if alert is None or alert.program_id != actor.program_id:
        raise Refused("alert-not-found", N_("There is no such alert."), status=404)
    return alert


def _live_twin(session: Session, alert: Alert) -> bool:
    twin = select(Alert.id).where(
        Alert.program_id == alert.program_id,
        Alert.rule == alert.rule,
        Alert.subject_id == alert.subject_id,
        Alert.state != AlertState.FINE,
    )
    return session.scalars(twin.limit(1)).first() is not None


def _view(session: Session, alert: Alert) -> AlertView:
    decider = session.get(Staff, alert.decided_by) if alert.decided_by else None
    return AlertView(
        id=alert.id,
        rule=Rule(alert.rule),
        subject=alert.subject,
        subject_id=alert.subject_id,
        who=_who(session, alert),
        state=alert.state,
        times=alert.times,
        most=int(str(alert.evidence.get("most", 0))),
        minutes=int(str(alert.evidence.get("minutes", 0))),
        first_at=alert.first_at,
        last_at=alert.last_at,
        decided_by=decider.name if decider else "",
        decided_at=alert.decided_at,
    )


def _who(session: Session, alert: Alert) -> str:
    if alert.subject == "member":
        member = session.get(Member, alert.subject_id)
        return (member.name or member.phone) if member else ""
    if alert.subject == "staff":
        person = session.get(Staff, alert.subject_id)
        return person.name if person else ""
    key = session.get(ApiKey, alert.subject_id)
    return key.name if key else ""


def _evidence(session: Session, alert: Alert) -> list[Evidence]:
    """The acts within the rule's time before the pattern was last seen, the newest first."""
    rule = Rule(alert.rule)
    since = alert.last_at - timedelta(minutes=int(str(alert.evidence.get("minutes", 0))))
    if rule is Rule.TILL_JOINS:
        return _joins(session, alert, since)
    if rule is Rule.TILL_CODES:
        return []
    if rule in FROM_THE_FIRST:
        return _friends(session, alert, since)
    undo = aliased(LedgerEntry)
    undone = select(undo.id).where(undo.reverses_id == LedgerEntry.id).exists()
    rows = session.execute(
        select(LedgerEntry, Member, Staff.name, Location.name, undone, Purchase.amount_minor)
        .outerjoin(Member, Member.id == LedgerEntry.member_id)
        .outerjoin(Staff, Staff.id == LedgerEntry.staff_id)
        .outerjoin(Location, Location.id == LedgerEntry.location_id)
        .outerjoin(Purchase, Purchase.id == LedgerEntry.operation_id)
        .where(
            LedgerEntry.program_id == alert.program_id,
            LedgerEntry.at.between(since, alert.last_at + _THE_ACT_ITSELF),
            *_acts_of(rule, alert),
        )
        .order_by(LedgerEntry.at.desc(), LedgerEntry.number.desc())
        .limit(SHOWN_ACTS)
    )
    return [
        Evidence(
            entry.at,
            entry.kind,
            entry.unit,
            abs(entry.amount),
            entry.member_id,
            (member.name or member.phone) if member else "",
            staff or "",
            location or "",
            was_undone,
            bill_minor or 0,
        )
        for entry, member, staff, location, was_undone, bill_minor in rows
    ]


def _acts_of(rule: Rule, alert: Alert) -> list[ColumnElement[bool]]:
    about = {"member": LedgerEntry.member_id, "staff": LedgerEntry.staff_id, "api_key": LedgerEntry.api_key_id}
    acts: list[ColumnElement[bool]] = [about[alert.subject] == alert.subject_id]
    match rule:
        case Rule.MEMBER_BONUS:
            typed = LedgerEntry.staff_id.is_not(None)
            acts.append((LedgerEntry.kind == Kind.EARN) & (LedgerEntry.unit == Unit.BONUS) & typed)
        case Rule.MEMBER_USES:
            acts.append(LedgerEntry.kind == Kind.REDEEM)
        case Rule.MEMBER_VISITS:
            acts.append((LedgerEntry.kind == Kind.EARN) & (LedgerEntry.unit == Unit.VISIT))
        case Rule.TILL_UNDOS:
            acts.append(LedgerEntry.kind == Kind.UNDO)
        case Rule.TILL_RECEIPTS:
            acts.append((LedgerEntry.kind == Kind.EARN) & (LedgerEntry.receipt_no != ""))
        case _:
            acts.append((LedgerEntry.kind == Kind.EARN) & (LedgerEntry.unit == Unit.STAMP))
    return acts


def _joins(session: Session, alert: Alert, since: datetime) -> list[Evidence]:
    mine = AuditEntry.staff_id if alert.subject == "staff" else AuditEntry.api_key_id
    rows = session.execute(
        select(AuditEntry, Member, Staff.name)
        .join(Member, Member.id == AuditEntry.subject_id)
        .outerjoin(Staff, Staff.id == AuditEntry.staff_id)
        .where(
            AuditEntry.program_id == alert.program_id,
            AuditEntry.at.between(since, alert.last_at + _THE_ACT_ITSELF),
            AuditEntry.action.in_(["member.joined", "member.rejoined"]),
            mine == alert.subject_id,
        )
        .order_by(AuditEntry.at.desc())
        .limit(SHOWN_ACTS)
    )
    return [
        Evidence(entry.at, "joined", "", 1, member.id, member.name or member.phone, staff or "", "", False)
        for entry, member, staff in rows
    ]


def _friends(session: Session, alert: Alert, since: datetime) -> list[Evidence]:
    """Who came by the member's link meanwhile."""
    rows = session.execute(
        select(Referral, Member)
        .join(Member, Member.id == Referral.friend_id)
        .where(
            Referral.referrer_id == alert.subject_id,
            Referral.joined_at.between(since, alert.last_at + _THE_ACT_ITSELF),
        )
        .order_by(Referral.joined_at.desc())
        .limit(SHOWN_ACTS)
    )
    return [
        Evidence(referral.joined_at, "friend", "", 1, friend.id, friend.name or friend.phone, "", "", False)
        for referral, friend in rows
    ]
