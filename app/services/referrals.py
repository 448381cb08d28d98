"""Friends whom members bring: tying them together when one joins, and what the friend's first purchase sets going.

Works inside the caller's transaction, which holds the friend's lock. The referrer is another member, whose lock nobody
may take who holds the friend's: the reward is given by a task of its own (app.services.referral_work).
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, literal, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from uuid_utils.compat import uuid7

from app.db.ledger import Reward
from app.db.lookup import Compiled
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.db.referrals import Referral, ReferralLink, ReferralState, RewardedOn
from app.i18n import N_
from app.loyalty.guarding import Rule
from app.loyalty.ledger import Kind
from app.loyalty.referrals import LONGEST_CHAIN, Gift, Joining, Reason, Verdict, judge
from app.services import bonus_earning, device_marks, guard, referral_links, referral_rules, rewards, tasks
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.ledger_book import Occasion, occasion
from app.services.stamp_earning import earn_stamps

TASK = "referral"
RULES = (Rule.MEMBER_RINGS, Rule.MEMBER_DEVICES)
_OPEN = [
    Referral.state == literal(state, Referral.state.type, literal_execute=True)
    for state in (ReferralState.WAITING, ReferralState.TAKEN_BACK)
]
_OF_FRIEND = Compiled(select(Referral.id).where(Referral.friend_id == bindparam("friend_id"), or_(*_OPEN)))


def joined(
    ctx: Context,
    session: Session,
    program: Program,
    friend: Member,
    act: Occasion,
    code: str,
    mark: str = "",
    *,
    new: bool,
    returned: bool = False,
) -> list[Reward]:
    """Somebody joined, perhaps by a member's link (`code`), in a browser with this mark; return the rewards issued.

    `act` is theirs, with nothing written yet. Nothing happens where nothing is given for friends. Raises InvalidForm
    (referral) for a code that staff or a till got wrong; a customer's is left out.
    """
    rules = referral_rules.of(session, program)
    device = device_marks.hashed(ctx, mark) if rules.active else ""
    seen = device_marks.owners(session, program.id, device)
    if device and new:
        device_marks.note_within(session, friend.id, device)
    referrer = _by_code(session, program, act.actor, code) if code else None
    if referrer is None or not rules.active:
        return []
    verdict = judge(
        Joining(
            friend.id,
            _chain(session, referrer[0]),
            new,
            returned,
            seen,
            referrer[1] == MemberStatus.ACTIVE,
            guard.stopped(session, program.id, RULES, referrer[0]),
        )
    )
    at_once = verdict.good and rules.rewarded_on is RewardedOn.JOINING
    due = act.operation_id if rules.rewarded_on is RewardedOn.JOINING else None
    referral_id = _tie(session, program, referrer[0], friend, act.at, device, verdict, due)
    if referral_id is None:
        return []
    if verdict.rule is not None:
        guard.report(ctx, session, program.id, verdict.rule, referrer[0])
    if not at_once:
        return []
    issued = give(session, program, friend, act, rules.friend)
    referral = session.get_one(Referral, referral_id)
    referral.friend_operation_id = act.operation_id if act.begun else None
    tasks.start(session, program.id, TASK, referral_id)
    return issued


def _by_code(session: Session, program: Program, actor: Actor, text: str) -> tuple[UUID, MemberStatus] | None:
    found = session.execute(
        select(Member.id, Member.status)
        .join(ReferralLink, ReferralLink.member_id == Member.id)
        .where(Member.program_id == program.id, ReferralLink.code == referral_links.read(text))
    ).one_or_none()
    if found is None and (actor.staff_id or actor.api_key_id):
        words = N_("No member has this code for friends. It is the last part of their link.")
        raise InvalidForm({"referral": Refused("referral-not-found", words, field="referral")})
    return (found[0], found[1]) if found is not None else None


def _chain(session: Session, referrer_id: UUID) -> tuple[UUID, ...]:
    """The referrer, then who had brought them, and so on."""
    chain = [referrer_id]
    while len(chain) < LONGEST_CHAIN:
        before = session.scalars(
            select(Referral.referrer_id).where(Referral.friend_id == chain[-1], Referral.state != ReferralState.REFUSED)
        ).one_or_none()
        if before is None or before in chain:
            break
        chain.append(before)
    return tuple(chain)


def _tie(
    session: Session,
    program: Program,
    referrer_id: UUID,
    friend: Member,
    at: datetime,
    device: str,
    verdict: Verdict,
    due: UUID | None,
) -> UUID | None:
    """Write the referral; None when this friend came by a link before."""
    refused = verdict.reason is not None and not verdict.held
    row = insert(Referral).values(
        id=uuid7(),
        program_id=program.id,
        referrer_id=referrer_id,
        friend_id=friend.id,
        device=device,
        state=ReferralState.REFUSED if refused else ReferralState.WAITING,
        reason=verdict.reason or "",
        joined_at=at,
        decided_at=at if refused else None,
        purchase_operation_id=None if refused else due,
    )
    return session.scalar(row.on_conflict_do_nothing(index_elements=["friend_id"]).returning(Referral.id))


def purchase_made(ctx: Context, session: Session, program: Program, member: Member, act: Occasion) -> list[Reward]:
    """A purchase of somebody who may have come by a link: if it is the first, give what friends get, as a part of the
    act, and have the referrer rewarded. Returns the rewards issued.

    A purchase of nothing, or of less than the programme's smallest purchase, is none; one whose sum nobody told is.
    """
    rules = referral_rules.of(session, program)
    if not rules.active or not _counts(program, act.amount_minor):
        return []
    found = _OF_FRIEND.within(session, friend_id=member.id)
    referral = session.get(Referral, found[0][0], with_for_update=True) if found else None
    if referral is None or referral.purchase_operation_id is not None:
        return []
    stands = referral.state is ReferralState.TAKEN_BACK and referral.reason == Reason.USED
    if referral.state is ReferralState.WAITING and referral.reason:
        referral.purchase_operation_id = act.operation_id  # should a manager allow it
        return []
    if referral.state not in (ReferralState.WAITING, ReferralState.TAKEN_BACK):
        return []
    issued = give(session, program, member, act, rules.friend)
    referral.purchase_operation_id = act.operation_id
    referral.friend_operation_id = act.operation_id if rules.friend else None
    referral.state = ReferralState.REWARDED if stands else ReferralState.WAITING
    referral.reason = ""
    if not stands:
        tasks.start(session, program.id, TASK, referral.id, act.at)
    return issued


def _counts(program: Program, amount_minor: int | None) -> bool:
    return amount_minor is None or amount_minor >= max(program.smallest_purchase_minor, 1)


def purchase_undone(session: Session, program: Program, friend_id: UUID, operation_id: UUID, at: datetime) -> None:
    """This member's purchase was taken back, with what the friend got by it: the referrer's reward is taken back, too.

    The friend's next purchase then counts as the first.
    """
    referral = session.scalars(
        select(Referral)
        .where(Referral.friend_id == friend_id, Referral.purchase_operation_id == operation_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if referral is None:
        return
    if referral.friend_operation_id == operation_id:
        referral.friend_operation_id = None
    referral.purchase_operation_id = None
    given = referral.referrer_operation_id is not None or referral.friend_operation_id is not None
    if referral.state is ReferralState.REWARDED or given:
        referral.state, referral.decided_at, referral.reason = ReferralState.TAKEN_BACK, at, ""
        tasks.start(session, program.id, TASK, referral.id, at)
    elif referral.reason == Reason.LIMIT:
        referral.state, referral.decided_at, referral.reason = ReferralState.WAITING, None, ""


def give(session: Session, program: Program, member: Member, act: Occasion, gift: Gift) -> list[Reward]:
    """Give what one of the two gets; return the rewards issued. The caller announces the card."""
    issued: list[Reward] = []
    if gift.stamps:
        issued += earn_stamps(session, program, member, act, Kind.REFERRAL, gift.stamps)
    if gift.bonus:
        bonus_earning.give(session, program, member, act, Kind.REFERRAL, gift.bonus)
    if (type_ := rewards.to_give(session, program, gift.reward_type_id, act.at)) is not None:
        issued.append(rewards.issue(session, program, member, act, type_, Kind.REFERRAL))
    return issued


def act_of(program: Program, at: datetime) -> Occasion:
    """An act of the installation's own, for what is given or taken back apart from a purchase."""
    return occasion(Actor(program.id), at)
