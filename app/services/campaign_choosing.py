"""Writing down a run's recipients: one INSERT … SELECT, so that nobody is skipped or taken twice, whatever crashes.

A million take about twenty seconds. Nobody's row is locked meanwhile: tills do not wait.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Select,
    String,
    Uuid,
    case,
    cast,
    exists,
    extract,
    false,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import BIT, Insert, insert
from sqlalchemy.orm import Session

from app import clock
from app.db.campaigns import CampaignRecipient, CampaignRun, Medium, RecipientState, Repeat, RunPhase
from app.db.credit import Credit, CreditStatus
from app.db.delivery import AppleRegistration, Channel, GoogleObject
from app.db.ledger import Reward, RewardStatus
from app.db.people import Consent, Member, MemberCard
from app.db.programs import Program
from app.logs import log
from app.loyalty import segments
from app.loyalty.birthdays import born_on
from app.loyalty.campaign_schedule import day_bounds, is_late, local_day
from app.services import campaign_planning, campaign_rules, outbox
from app.services.campaign_rules import Rules
from app.services.context import Context
from app.services.segment_sql import compiled

# Why somebody who was chosen gets nothing. More of them at the sending: app.services.campaign_gate.
NO_CONSENT, NO_WALLET, OFTEN = "no-consent", "no-wallet", "too-often"
_LOCK = 5363  # any fixed number that no other advisory lock of ours has
_OCCASION_DIGITS = 20
_NO_RUN = UUID(int=0)  # luck is the same each time somebody looks


def choose(ctx: Context, run_id: UUID, _until: float) -> bool:
    """The task: write the recipients, and have the sending begin. True, always: it is one statement, however long."""
    now = clock.now()
    if not _begun(ctx, run_id, now):
        return True
    with ctx.sessions.begin() as session:
        # Not the run's row: whoever stops the campaign meanwhile does not wait.
        session.execute(select(func.pg_advisory_xact_lock(_LOCK, func.hashtext(str(run_id)))))
        run = session.get_one(CampaignRun, run_id)
        if run.phase is not RunPhase.CHOOSING:
            return True
        session.execute(_insertion(session, run, now))
        begun = session.execute(
            update(CampaignRun)
            .where(CampaignRun.id == run_id, CampaignRun.phase == RunPhase.CHOOSING)
            .values(phase=RunPhase.SENDING)
            .returning(CampaignRun.id)
        ).scalar()
        if begun is None:  # stopped meanwhile: nobody was chosen
            session.rollback()
            return True
        outbox.announce(session, Channel.CAMPAIGN, run.program_id, run_id, now)
    log().info("campaign.chosen", run=str(run_id))
    return True


def _begun(ctx: Context, run_id: UUID, now: datetime) -> bool:
    """Show that the recipients are being chosen, unless the run's turn has passed or it was stopped."""
    with ctx.sessions.begin() as session:
        run = campaign_planning.locked_run(session, run_id)
        if run.phase is RunPhase.PLANNED and is_late(run.due_at, now):
            campaign_planning.miss(session, run)
        elif run.phase is RunPhase.PLANNED:
            run.phase, run.started_at = RunPhase.CHOOSING, now
        return run.phase is RunPhase.CHOOSING


@dataclass(frozen=True, slots=True)
class _Choice:
    """What decides on a run's recipients."""

    run: CampaignRun
    program: Program
    rules: Rules
    now: datetime

    @property
    def medium(self) -> Medium:
        return Medium(str(self.run.content["medium"]))

    def number(self, name: str) -> int:
        value = self.run.content.get(name, 0)
        return value if isinstance(value, int) else 0


def _insertion(session: Session, run: CampaignRun, now: datetime) -> Insert:
    choice = _Choice(run, session.get_one(Program, run.program_id), campaign_rules.of(session, run.program_id), now)
    rows = _rows(choice)
    columns = [column.name for column in rows.selected_columns]
    return (
        insert(CampaignRecipient)
        .from_select(columns, rows, include_defaults=False)
        .on_conflict_do_nothing(index_elements=["campaign_id", "member_id", "occasion"])
    )


def outlook(
    session: Session, program: Program, content: dict[str, object], due_at: datetime, now: datetime
) -> Select[tuple[object, ...]]:
    """The rows that a run of this content would have, if it were chosen now: for whoever looks before sending."""
    run = CampaignRun(id=_NO_RUN, campaign_id=_NO_RUN, program_id=program.id, content=content, due_at=due_at)
    return _rows(_Choice(run, program, campaign_rules.of(session, program.id), now))


def _rows(choice: _Choice) -> Select[tuple[object, ...]]:
    """The rows of the table, without their numbers."""
    found = _found(choice).subquery("found")
    medium: ColumnElement[str] = {
        Medium.SMS: literal(Medium.SMS.value),
        Medium.WALLET: literal(Medium.WALLET.value),
        Medium.WALLET_FIRST: case((found.c.in_wallet, Medium.WALLET.value), else_=Medium.SMS.value),
    }[choice.medium]
    reason = case(
        *[(~found.c.in_wallet, NO_WALLET)] * (choice.medium is Medium.WALLET),
        *[(~found.c.wants_offers & ~found.c.in_wallet, NO_CONSENT)] * (choice.medium is not Medium.WALLET),
        (found.c.often, OFTEN),
        else_="",
    )
    # Held out are some of those who would get it: else the two groups could not be compared.
    luck = found.c.luck
    state = case(
        (reason != "", RecipientState.SKIPPED.value),
        (luck % 100 < choice.number("holdout_percent"), RecipientState.HOLDOUT.value),
        else_=RecipientState.PLANNED.value,
    )
    variant = case(((luck // 100) % 100 < choice.number("b_percent"), "b"), else_="a")
    return select(
        literal(choice.program.id, Uuid()).label("program_id"),
        literal(choice.run.campaign_id, Uuid()).label("campaign_id"),
        literal(choice.run.id, Uuid()).label("run_id"),
        found.c.member_id,
        found.c.phone_check,
        found.c.occasion,
        found.c.token,
        variant.label("variant"),
        medium.label("medium"),
        state.label("state"),
        reason.label("reason"),
        literal(choice.now, DateTime(timezone=True)).label("due_at"),
    )


def _found(choice: _Choice) -> Select[tuple[object, ...]]:
    """The members of the segment to whom the run's occasion has come, with what decides on them. The token is random,
    so that PostgreSQL works this out once a member, as it is."""
    by_sms, by_wallet = choice.medium is not Medium.WALLET, choice.medium is not Medium.SMS
    chosen = compiled(segments.read(choice.run.content["tree"]), choice.program, choice.now).subquery("chosen")
    place = func.substr(func.md5(func.concat(str(choice.run.id), cast(Member.id, String))), 1, 15)
    query = (
        select(
            Member.id.label("member_id"),
            func.hashtextextended(Member.phone, 0).label("phone_check"),
            _token().label("token"),
            cast(cast(func.concat("x", place), BIT(60)), BigInteger).label("luck"),
            (_in_wallet() if by_wallet else false()).label("in_wallet"),
            (wants_offers(Member.id) if by_sms else true()).label("wants_offers"),
            (offers_got(Member.id, choice.rules, choice.now) >= choice.rules.most_offers).label("often"),
        )
        .select_from(Member)
        .join(chosen, chosen.c.id == Member.id)
    )
    return _of_occasion(query, choice)


def _of_occasion(query: Select[tuple[object, ...]], choice: _Choice) -> Select[tuple[object, ...]]:
    """Those to whom the occasion has come on the run's day, and its name: nobody is written to twice for one."""
    zone, day = choice.program.time_zone, local_day(choice.run.due_at, choice.program.time_zone)
    offset = timedelta(days=choice.number("offset_days"))
    match Repeat(str(choice.run.content["repeat"])):
        case Repeat.ONCE:
            return query.add_columns(literal("once").label("occasion"))
        case Repeat.WEEKLY:
            return query.add_columns(literal(day.isoformat()).label("occasion"))
        case Repeat.BIRTHDAY:
            birth = Member.birth_date
            found = query.where(tuple_(extract("month", birth), extract("day", birth)).in_(born_on(day + offset)))
            return found.add_columns(literal(str((day + offset).year)).label("occasion"))
        case Repeat.AFTER_VISIT:
            start, end = day_bounds(day - offset, zone)
            found = query.where(Member.last_visit_at >= start, Member.last_visit_at < end)
            return found.add_columns(literal((day - offset).isoformat()).label("occasion"))
        case Repeat.BEFORE_LAPSE:
            lapsing = _lapsing(choice.program.id, *day_bounds(day + offset, zone)).subquery("lapsing")
            name = func.right(func.replace(cast(lapsing.c.id, String), "-", ""), _OCCASION_DIGITS)
            return query.join(lapsing, lapsing.c.member_id == Member.id).add_columns(name.label("occasion"))


def _lapsing(program_id: UUID, start: datetime, end: datetime) -> Select[tuple[object, ...]]:
    """Each member's credit or reward whose last day this is: what ends at midnight has the day before as its last."""
    credits = select(Credit.member_id, Credit.id).where(
        Credit.program_id == program_id,
        Credit.status == CreditStatus.OPEN,
        Credit.expires_at > start,
        Credit.expires_at <= end,
        Credit.member_id.is_not(None),
    )
    rewards = select(Reward.member_id, Reward.id).where(
        Reward.program_id == program_id,
        Reward.status == RewardStatus.ISSUED,
        Reward.expires_at > start,
        Reward.expires_at <= end,
    )
    both = union_all(credits, rewards).subquery()
    return select(both.c.member_id, func.min(cast(both.c.id, String)).label("id")).group_by(both.c.member_id)


def wants_offers(member_id: ColumnElement[UUID] | object) -> ColumnElement[bool]:
    """Whether this member's newest word about offers by SMS is yes, in SQL."""
    newest = (
        select(Consent.granted)
        .where(Consent.member_id == member_id, Consent.purpose == "sms_marketing")
        .order_by(Consent.at.desc(), Consent.id.desc())
        .limit(1)
    )
    return func.coalesce(newest.scalar_subquery(), false())


def offers_got(member_id: ColumnElement[UUID] | object, rules: Rules, now: datetime) -> ColumnElement[int]:
    """How many offers of campaigns this member has got in the programme's `offer_days`, in SQL."""
    recipient = CampaignRecipient.__table__.alias("earlier")
    return (
        select(func.count())
        .select_from(recipient)
        .where(
            recipient.c.member_id == member_id,
            recipient.c.handed_at > now - timedelta(days=rules.offer_days),
            recipient.c.state == RecipientState.HANDED.value,
        )
        .scalar_subquery()
    )


def _in_wallet() -> ColumnElement[bool]:
    card = MemberCard.__table__.alias("card")
    apple = exists().where(card.c.member_id == Member.id, AppleRegistration.card_id == card.c.id)
    google = exists().where(card.c.member_id == Member.id, GoogleObject.card_id == card.c.id, GoogleObject.installs > 0)
    return or_(apple, google)


def _token() -> ColumnElement[str]:
    """Ten random characters (60 bits): a random UUID has 122, some of them the same in all."""
    digest = func.encode(func.sha256(func.uuid_send(func.gen_random_uuid())), "base64")
    return func.substr(func.translate(digest, "+/=", ""), 1, 10)
