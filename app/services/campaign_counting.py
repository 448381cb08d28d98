"""Counting what came of campaigns, in a few statements over all their recipients."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Subquery, case, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased

from app.db.campaigns import CampaignRecipient, ClickKind, LinkClick, RecipientState
from app.db.credit import Credit
from app.db.delivery import InstallEvent
from app.db.ledger import LedgerEntry, Reward, RewardStatus
from app.db.messages import Direction, SmsMessage
from app.db.people import Consent, MemberCard
from app.db.purchases import Purchase
from app.loyalty.ledger import Kind
from app.services.campaign_counts import HOLDOUT, Counts, Part
from app.services.segment_sql import SETTINGS
from sms.delivery_states import State

ANSWER_DAYS = 7  # an answer, and a stop, within them counts as to the campaign
_A_MINUTE = timedelta(minutes=1)
_ARRIVED = (RecipientState.HANDED, RecipientState.HOLDOUT)
_NO_REPORT = (State.ACCEPTED, State.SENT)
_FAILED = (State.FAILED, State.UNDELIVERED)
_GROUP = case((CampaignRecipient.state == RecipientState.HOLDOUT, HOLDOUT), else_=CampaignRecipient.variant)
# From when on what a member does counts as after the campaign; the hold-out's is when they would have got it.
_SINCE = func.coalesce(CampaignRecipient.handed_at, CampaignRecipient.due_at)


class Scope(NamedTuple):
    """Which recipients are counted, and what they are counted by: CampaignRecipient.campaign_id or run_id."""

    program_id: UUID
    chosen: ColumnElement[bool]
    by: Any
    visit_days: int


def count(session: Session, scope: Scope) -> dict[Part, Counts]:
    """Everything, by part. The session has not been used before: all is counted as of one moment."""
    connection = session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    for setting in SETTINGS:
        connection.exec_driver_sql(setting)
    found: dict[Part, Counts] = {}
    _count_standing(session, scope, found)
    first = session.scalar(select(func.min(_SINCE)).where(scope.chosen, CampaignRecipient.state.in_(_ARRIVED)))
    if first is None:
        return found
    for query in (
        _clicks(scope),
        _answers(scope, first),
        _stops(scope, first),
        _installs(scope, first),
        _purchases(scope, first),
        _credits(scope),
        _rewards(scope),
    ):
        for row in session.execute(query):
            values = row._asdict()
            counts = found[Part(values.pop("of"), values.pop("group"))]
            for name, value in values.items():
                setattr(counts, name, int(value or 0))
    return found


def _count_standing(session: Session, scope: Scope, found: dict[Part, Counts]) -> None:
    recipient, message = CampaignRecipient, SmsMessage
    columns = (
        recipient.state,
        recipient.medium,
        recipient.reason,
        message.state.label("sms"),
        message.reason.label("why"),
    )
    query = (
        select(
            scope.by.label("of"),
            _GROUP.label("group"),
            *columns,
            func.count().label("rows"),
            func.coalesce(func.sum(message.parts), 0).label("parts"),
            func.coalesce(func.sum(message.cost_micro), 0).label("cost_micro"),
            func.max(_SINCE).filter(recipient.state.in_(_ARRIVED)).label("last_at"),
        )
        .outerjoin(message, message.id == recipient.message_id)
        .where(scope.chosen)
        .group_by(scope.by, _GROUP, *columns)
    )
    for row in session.execute(query):
        counts = found.setdefault(Part(row.of, row.group), Counts())
        counts.add(_standing(row))


def _standing(row: Any) -> Counts:
    """The counts of recipients who stand alike."""
    counts = Counts(chosen=row.rows, parts=int(row.parts), cost_micro=int(row.cost_micro), last_at=row.last_at)
    match row.state:
        case RecipientState.PLANNED:
            counts.planned = row.rows
        case RecipientState.HOLDOUT:
            counts.holdout = row.rows
        case RecipientState.SKIPPED:
            counts.held[row.reason] = row.rows
        case RecipientState.HANDED:
            counts.handed = row.rows
            _sms(counts, row)
    return counts


def _sms(counts: Counts, row: Any) -> None:
    if row.sms is None:
        counts.on_card = row.rows
    elif row.sms is State.DELIVERED:
        counts.delivered = row.rows
    elif row.sms in _NO_REPORT:
        counts.accepted = row.rows
    elif row.sms in _FAILED:
        counts.failed[row.why] = row.rows
    elif row.sms is State.UNKNOWN:
        counts.unknown = row.rows
    else:
        counts.sending = row.rows


def _arrived(scope: Scope) -> Subquery:
    """Who got it or was held out, since when."""
    return (
        select(
            scope.by.label("of"),
            _GROUP.label("group"),
            CampaignRecipient.campaign_id,
            CampaignRecipient.number,
            CampaignRecipient.member_id,
            CampaignRecipient.state,
            _SINCE.label("since"),
        )
        .where(scope.chosen, CampaignRecipient.state.in_(_ARRIVED))
        .subquery("arrived")
    )


def _after(scope: Scope, event: Subquery, days: int) -> Subquery:
    """Each event (id, member_id, at, …) with the recipient to whom it counts: that of the campaign's last message
    before it, if it came within so many days."""
    to = _arrived(scope)
    return (
        select(to.c["of"], to.c.group, to.c.number, to.c.state, event)
        .join(event, event.c.member_id == to.c.member_id)
        .where(event.c.at >= to.c.since, event.c.at < to.c.since + timedelta(days=days))
        .ext(distinct_on(to.c.campaign_id, event.c.id))
        .order_by(to.c.campaign_id, event.c.id, to.c.since.desc())
        .subquery("after")
    )


def _clicks(scope: Scope) -> Select[Any]:
    person = LinkClick.kind == ClickKind.PERSON
    return (
        select(
            scope.by.label("of"),
            _GROUP.label("group"),
            func.count(LinkClick.recipient_number.distinct()).filter(person).label("people_clicked"),
            func.count().filter(person).label("clicks"),
            func.count().filter(LinkClick.kind == ClickKind.PREVIEW).label("previews"),
            func.count().filter(LinkClick.kind == ClickKind.SCANNER).label("scanners"),
        )
        .select_from(LinkClick)
        .join(CampaignRecipient, CampaignRecipient.number == LinkClick.recipient_number)
        .where(scope.chosen)
        .group_by(scope.by, _GROUP)
    )


def _answers(scope: Scope, first: datetime) -> Select[Any]:
    stopped = select(Consent.id).where(
        Consent.member_id == SmsMessage.member_id,
        Consent.granted.is_(False),
        Consent.source == "sms",
        Consent.wording == SmsMessage.text,
        Consent.at.between(SmsMessage.created_at - _A_MINUTE, SmsMessage.created_at + _A_MINUTE),
    )
    received = (
        select(SmsMessage.id, SmsMessage.member_id, SmsMessage.created_at.label("at"))
        .where(
            SmsMessage.program_id == scope.program_id,
            SmsMessage.direction == Direction.IN,
            SmsMessage.created_at >= first,
            SmsMessage.member_id.is_not(None),
            ~stopped.exists(),
        )
        .subquery()
    )
    after = _after(scope, received, ANSWER_DAYS)
    people = func.count(after.c.number.distinct()).label("people_replied")
    return _by_part(after, people, func.count().label("replies")).where(after.c.state == RecipientState.HANDED)


def _stops(scope: Scope, first: datetime) -> Select[Any]:
    refused = (
        select(Consent.id, Consent.member_id, Consent.at, Consent.source)
        .where(Consent.purpose == "sms_marketing", Consent.granted.is_(False), Consent.at >= first)
        .subquery()
    )
    after = _after(scope, refused, ANSWER_DAYS)
    # Somebody who stops twice counts once, by the way that they took first.
    once = (
        select(after.c["of"], after.c.group, after.c.number, after.c.source)
        .ext(distinct_on(after.c.number))
        .where(after.c.state == RecipientState.HANDED)
        .order_by(after.c.number, after.c.at, after.c.id)
        .subquery("once")
    )
    return _by_part(
        once,
        func.count().filter(once.c.source == "sms").label("stopped_by_sms"),
        func.count().filter(once.c.source == "link").label("stopped_by_link"),
        func.count().filter(once.c.source.not_in(["sms", "link"])).label("stopped_elsewhere"),
    )


def _installs(scope: Scope, first: datetime) -> Select[Any]:
    added = (
        select(InstallEvent.id, MemberCard.member_id, InstallEvent.at)
        .join(MemberCard, MemberCard.id == InstallEvent.card_id)
        .where(InstallEvent.program_id == scope.program_id, InstallEvent.added.is_(True), InstallEvent.at >= first)
        .subquery()
    )
    after = _after(scope, added, scope.visit_days)
    return _by_part(after, func.count(after.c.number.distinct()).label("installed"))


def _purchases(scope: Scope, first: datetime) -> Select[Any]:
    bought = (
        select(Purchase.id, Purchase.member_id, Purchase.at, Purchase.amount_minor)
        .where(
            Purchase.program_id == scope.program_id,
            Purchase.at >= first,
            Purchase.member_id.is_not(None),
            Purchase.undone_at.is_(None),
        )
        .subquery()
    )
    after = _after(scope, bought, scope.visit_days)
    return _by_part(
        after,
        func.count(after.c.number.distinct()).label("visitors"),
        func.count().label("purchases"),
        func.sum(after.c.amount_minor).label("money_minor"),
    )


def _credits(scope: Scope) -> Select[Any]:
    undo = aliased(LedgerEntry)
    used = (
        select(-func.sum(LedgerEntry.amount))
        .where(
            LedgerEntry.credit_id == Credit.id,
            LedgerEntry.kind == Kind.REDEEM,
            ~select(undo.id).where(undo.reverses_id == LedgerEntry.id).exists(),
        )
        .scalar_subquery()
    )
    each = (
        select(scope.by.label("of"), _GROUP.label("group"), Credit.amount_minor, used.label("used"))
        .select_from(CampaignRecipient)
        .join(Credit, Credit.id == CampaignRecipient.credit_id)
        .where(scope.chosen)
        .subquery("each")
    )
    return _by_part(
        each,
        func.count().label("credits"),
        func.sum(each.c.amount_minor).label("credits_minor"),
        func.count().filter(each.c.used > 0).label("credits_used"),
        func.sum(each.c.used).label("credits_used_minor"),
    )


def _rewards(scope: Scope) -> Select[Any]:
    return (
        select(
            scope.by.label("of"),
            _GROUP.label("group"),
            func.count().label("rewards"),
            func.count().filter(Reward.status == RewardStatus.REDEEMED).label("rewards_used"),
        )
        .select_from(CampaignRecipient)
        .join(Reward, Reward.id == CampaignRecipient.reward_id)
        .where(scope.chosen)
        .group_by(scope.by, _GROUP)
    )


def _by_part(rows: Subquery, *figures: ColumnElement[Any]) -> Select[Any]:
    return select(rows.c["of"], rows.c.group, *figures).group_by(rows.c["of"], rows.c.group)
