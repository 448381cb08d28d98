"""What comes with a campaign: credit with a code of its own, a reward, or double stamps for a while.

A batch of recipients gets it in the transaction that hands their messages over, each of them once: the recipient's
row keeps what they got. Nobody else gets anything, least of all who was held out.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app.db.campaigns import Benefit, Campaign, CampaignRecipient, CampaignRun, RecipientState
from app.db.credit import Credit, CreditSource, CreditStatus
from app.db.ledger import LedgerEntry, Reward, RewardStatus
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.db.rewards import RewardType
from app.loyalty import campaign_text
from app.loyalty.credit import day_of, validity
from app.loyalty.ledger import Kind, Unit
from app.loyalty.stamps import lasts_until
from app.services import credit_codes, program_rules, rewards
from app.services.campaign_gate import Candidate
from app.services.context import Context
from app.services.credit_rows import grant_entry, insert_rows
from app.services.errors import Refused

_CREDIT = """UPDATE members SET credit_minor = credit_minor + :amount, next_expiry_at = least(next_expiry_at, :until)
    WHERE id = ANY(CAST(:ids AS uuid[]))"""
_REWARD = """UPDATE members SET rewards = rewards + 1, next_expiry_at = least(next_expiry_at, :until)
    WHERE id = ANY(CAST(:ids AS uuid[]))"""
_DOUBLE = "UPDATE members SET double_until = greatest(double_until, :until) WHERE id = ANY(CAST(:ids AS uuid[]))"
_KEPT = """UPDATE campaign_recipients SET {column} = given.id
    FROM unnest(CAST(:numbers AS bigint[]), CAST(:ids AS uuid[])) AS given (number, id)
    WHERE campaign_recipients.number = given.number"""


@dataclass(frozen=True, slots=True)
class Promise:
    """What a run's content says of its benefit. `days`: how long it lasts, after the day on which it is given. A reward
    of a kind (`type_id`) is what the kind is when it is given."""

    kind: Benefit
    minor: int = 0
    name: str = ""
    days: int = 0
    type_id: UUID | None = None


def promise(content: Mapping[str, object]) -> Promise:
    found = content.get("benefit")
    if not isinstance(found, Mapping):
        return Promise(Benefit.NONE)
    type_id = UUID(str(found["type"])) if found.get("type") else None
    return Promise(Benefit(str(found["kind"])), int(found["minor"]), str(found["name"]), int(found["days"]), type_id)


def give(
    ctx: Context, session: Session, program: Program, run: CampaignRun, recipients: Sequence[Candidate], now: datetime
) -> dict[int, str]:
    """Give these what the run promises. Returns the codes of credits, number of the recipient → 7 digits, where the
    texts have a place for it.

    The caller holds the recipients' rows, and has `app.services.campaign_wallet.deliver` renew their cards after this.
    Repeating it gives nothing more. Raises Refused (code-space-full), and then nobody has got anything.
    """
    benefit = promise(run.content)
    if benefit.kind is Benefit.NONE or not recipients:
        return {}
    rows = _waiting(session, [one.number for one in recipients])
    # All who change members lock them first; in one order, so that no two wait for each other.
    alive = set(
        session.scalars(
            select(Member.id)
            .where(Member.id.in_([row.member_id for row in rows]), Member.status == MemberStatus.ACTIVE)
            .order_by(Member.id)
            .with_for_update(of=Member, key_share=True)
        )
    )
    new = {row.number: row.member_id for row in rows if row.member_id in alive}
    if new:
        _give(ctx, session, program, run, benefit, new, now)
    return codes(ctx, session, run, [one.number for one in recipients])


def codes(ctx: Context, session: Session, run: CampaignRun, numbers: Collection[int]) -> dict[int, str]:
    """The codes that these recipients' credits have, made again; those that cannot be are left out."""
    if not _tells_code(run.content):
        return {}
    found: dict[int, str] = {}
    for number, credit in session.execute(
        select(CampaignRecipient.number, Credit)
        .join(Credit, Credit.id == CampaignRecipient.credit_id)
        .where(CampaignRecipient.number.in_(numbers), Credit.code_hash.is_not(None))
    ):
        try:
            found[number] = credit_codes.code_again(ctx, credit)
        except Refused:  # its pepper is gone: the text says the rest all the same
            continue
    return found


def _waiting(session: Session, numbers: Collection[int]) -> Sequence[Row[int, UUID]]:
    """Those who have got nothing yet."""
    return session.execute(
        select(CampaignRecipient.number, CampaignRecipient.member_id).where(
            CampaignRecipient.number.in_(numbers),
            CampaignRecipient.state == RecipientState.PLANNED,
            CampaignRecipient.credit_id.is_(None),
            CampaignRecipient.reward_id.is_(None),
        )
    ).all()


def _give(
    ctx: Context,
    session: Session,
    program: Program,
    run: CampaignRun,
    benefit: Promise,
    new: Mapping[int, UUID],
    now: datetime,
) -> None:
    match benefit.kind:
        case Benefit.CREDIT:
            _give_credit(ctx, session, program, run, benefit, new, now)
        case Benefit.REWARD:
            _give_reward(session, program, run, benefit, new, now)
        case _:
            until = lasts_until(now, benefit.days, program.time_zone)
            session.execute(text(_DOUBLE), {"ids": list(new.values()), "until": until})


def _give_credit(
    ctx: Context,
    session: Session,
    program: Program,
    run: CampaignRun,
    benefit: Promise,
    new: Mapping[int, UUID],
    now: datetime,
) -> None:
    today = day_of(now, program.time_zone)
    valid_from, expires_at = validity(today, today + timedelta(days=benefit.days), program.time_zone)
    campaign = session.get_one(Campaign, run.campaign_id)
    credits = [
        Credit(
            id=uuid7(),
            program_id=program.id,
            member_id=member_id,
            source=CreditSource.CAMPAIGN,
            status=CreditStatus.OPEN,
            amount_minor=benefit.minor,
            balance_minor=benefit.minor,
            reason=str(run.content["name"]),
            valid_from=valid_from,
            expires_at=expires_at,
            granted_at=now,
            staff_id=campaign.approved_by or campaign.staff_id,
        )
        for member_id in new.values()
    ]
    if _tells_code(run.content) or program_rules.within(session, program.id).code_on_card:
        credit_codes.issue_many(ctx, session, credits)
    insert_rows(session, credits)
    insert_rows(session, [grant_entry(credit) for credit in credits])
    ids = list(new.values())
    session.execute(text(_CREDIT), {"ids": ids, "amount": benefit.minor, "until": expires_at})
    _keep(session, "credit_id", new, [credit.id for credit in credits])


def _give_reward(
    session: Session, program: Program, run: CampaignRun, benefit: Promise, new: Mapping[int, UUID], now: datetime
) -> None:
    if benefit.type_id is not None:
        promised = rewards.pinned(program, session.get_one(RewardType, benefit.type_id), now)
    else:
        until = lasts_until(now, benefit.days, program.time_zone)
        promised = {"name": benefit.name or program.reward_name, "expires_at": until}
    campaign = session.get_one(Campaign, run.campaign_id)
    given = [
        Reward(
            id=uuid7(),
            program_id=program.id,
            member_id=member_id,
            status=RewardStatus.ISSUED,
            issued_at=now,
            **promised,
        )
        for member_id in new.values()
    ]
    insert_rows(session, given)
    insert_rows(session, [_entry(reward, campaign.approved_by or campaign.staff_id) for reward in given])
    session.execute(text(_REWARD), {"ids": list(new.values()), "until": promised["expires_at"]})
    _keep(session, "reward_id", new, [reward.id for reward in given])


def _entry(reward: Reward, staff_id: UUID | None) -> LedgerEntry:
    """The ledger's entry of a reward: an act of its own, that can be undone by itself."""
    entry_id = uuid7()
    return LedgerEntry(
        id=entry_id,
        program_id=reward.program_id,
        member_id=reward.member_id,
        operation_id=entry_id,
        unit=Unit.REWARD,
        kind=Kind.GRANT,
        amount=1,
        at=reward.issued_at,
        expires_at=reward.expires_at,
        reward_id=reward.id,
        staff_id=staff_id,
        receipt_no="",
    )


def _keep(session: Session, column: str, new: Mapping[int, UUID], ids: Sequence[UUID]) -> None:
    session.execute(text(_KEPT.format(column=column)), {"numbers": list(new), "ids": list(ids)})


def _tells_code(content: Mapping[str, object]) -> bool:
    """Whether any of the texts has a place for the code."""
    texts = content["texts"]
    return isinstance(texts, Mapping) and any(
        "code" in campaign_text.names(words) for versions in texts.values() for words in versions.values()
    )
