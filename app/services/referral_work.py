"""The task that rewards members for friends, exactly once, and takes it back: under the locks of both, and then of the
referral's row. Whoever locks two members does it in the order of their ids."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import clock
from app.db.ledger import LedgerEntry
from app.db.people import Member, MemberStatus
from app.db.programs import Program
from app.db.referrals import Referral, ReferralState
from app.i18n import N_, translator
from app.loyalty.referrals import Reason, month_of
from app.services import coupon_wallets, guard, referral_rules, referral_words, reversal
from app.services.card_news import announce
from app.services.context import Context
from app.services.errors import Refused
from app.services.referral_rules import Rules
from app.services.referrals import RULES, act_of, give
from app.services.settling import plan_next_expiry, settle
from app.services.stamp_earning import fill_cards

_NEWS = N_("A friend came by your link. You get: %(gift)s")
_NEWS_FRIEND = N_("You came by a friend's link. You get: %(gift)s")


def work(ctx: Context, referral_id: UUID, _until: float) -> bool:
    """Do what is due for this referral, if anything is. Twice is the same as once."""
    with ctx.sessions.begin() as session:
        ids = session.execute(
            select(Referral.referrer_id, Referral.friend_id).where(Referral.id == referral_id)
        ).one_or_none()
        if ids is None:
            return True
        people = session.scalars(
            select(Member).where(Member.id.in_(ids)).order_by(Member.id).with_for_update(of=Member, key_share=True)
        ).unique()
        by_id = {member.id: member for member in people}
        referral = session.get_one(Referral, referral_id, with_for_update=True)
        coupon_wallets.lock_wallets(session, list(by_id))
        job = _Job(session, session.get_one(Program, referral.program_id), referral, by_id)
        due = referral.purchase_operation_id is not None and not referral.reason
        if referral.state is ReferralState.WAITING and due:
            job.reward()
        elif referral.state is ReferralState.TAKEN_BACK:
            job.take_back()
    return True


class _Job:
    """One referral, with both members locked."""

    def __init__(self, session: Session, program: Program, referral: Referral, people: dict[UUID, Member]) -> None:
        self.session, self.program, self.referral = session, program, referral
        self.referrer, self.friend = people[referral.referrer_id], people[referral.friend_id]
        self.now = clock.now()

    def reward(self) -> None:
        referral, rules = self.referral, referral_rules.of(self.session, self.program)
        if referral.referrer_operation_id is not None:  # it was to be taken back, and the friend has bought again
            referral.state = ReferralState.REWARDED
            return
        if referral.friend_operation_id is None and rules.active:
            referral.friend_operation_id = self._give(self.friend, rules, friend=True)
        referral.decided_at = self.now
        if (reason := self._obstacle(rules)) is not None:
            referral.state, referral.reason = ReferralState.REFUSED, reason
            return
        referral.referrer_operation_id = self._give(self.referrer, rules, friend=False)
        referral.state = ReferralState.REWARDED

    def _obstacle(self, rules: Rules) -> Reason | None:
        if not rules.active or self.referrer.status is not MemberStatus.ACTIVE:
            return Reason.ENDED
        if guard.stopped(self.session, self.program.id, RULES, self.referrer.id):
            return Reason.STOPPED
        begins, ends = month_of(self.now, self.program.time_zone)
        count = select(func.count()).where(
            Referral.referrer_id == self.referrer.id,
            Referral.state == ReferralState.REWARDED,
            Referral.decided_at >= begins,
            Referral.decided_at < ends,
        )
        return Reason.LIMIT if (self.session.scalar(count) or 0) >= rules.month_limit else None

    def _give(self, member: Member, rules: Rules, *, friend: bool) -> UUID | None:
        """Give one of the two theirs; return the act, None when there was nothing to give."""
        gift = rules.friend if friend else rules.referrer
        if not gift or member.status is not MemberStatus.ACTIVE:
            return None
        settle(self.session, member, self.now)
        act = act_of(self.program, self.now)
        issued = give(self.session, self.program, member, act, gift)
        if not act.begun:  # what was to be given is given no more
            return None
        text = translator(member.language)
        possible = referral_rules.choices_within(self.session, self.program)
        news = text.gettext(_NEWS_FRIEND if friend else _NEWS, gift=referral_words.gift(text, gift, possible))
        announce(self.session, self.program, member, self.now, issued, news=news, gift=True)
        return act.operation_id

    def take_back(self) -> None:
        """What was used meanwhile stays with who has it."""
        referral = self.referral
        if referral.friend_operation_id is not None and self._undo(self.friend, referral.friend_operation_id):
            referral.friend_operation_id = None
        if referral.referrer_operation_id is None:
            return
        if self._undo(self.referrer, referral.referrer_operation_id):
            referral.referrer_operation_id = None
        else:
            referral.reason = Reason.USED

    def _undo(self, member: Member, operation_id: UUID) -> bool:
        session = self.session
        settle(session, member, self.now)
        entries = session.scalars(
            select(LedgerEntry).where(LedgerEntry.operation_id == operation_id).order_by(LedgerEntry.number)
        ).all()
        undone = select(LedgerEntry.id).where(LedgerEntry.reverses_id.in_([entry.id for entry in entries])).limit(1)
        if session.scalars(undone).first() is not None:
            return True
        act = act_of(self.program, self.now)
        try:
            with session.begin_nested():
                reversal.reverse(session, member, act, entries)
        except Refused:
            return False
        plan_next_expiry(session, member)
        settle(session, member, self.now)
        issued = fill_cards(session, self.program, member, act)
        announce(session, self.program, member, self.now, issued, silent=not issued)
        return True
