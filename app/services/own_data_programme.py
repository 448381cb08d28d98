"""The parts of a member's download that come of the programme's rules: further cards, visits, tiers, groups, friends,
answers, and receipts that are kept."""

from sqlalchemy import case, select
from sqlalchemy.orm import aliased

from app.db.keeping import Warranty
from app.db.ledger import Reward
from app.db.nps import NpsAsk
from app.db.programs import Location
from app.db.referrals import MemberDevice, Referral, ReferralLink
from app.db.rewards import CouponRegistration, GoogleCoupon
from app.db.stamps import GivenOnce, MemberStamps, StampCard
from app.db.tiers import GroupMember, MemberGroup, Tier, TierChange
from app.db.visits import UncountedVisit, Visit
from app.loyalty.referrals import Reason
from app.services import join_answers
from app.services.own_data_reading import ME, section

_before, _after = aliased(Tier), aliased(Tier)
_TOLD = Referral.reason.in_([Reason.SELF, Reason.LIMIT, Reason.ENDED, Reason.ERASED, Reason.USED])
_COUPONS = select(Reward.id).where(Reward.member_id == ME)

SECTIONS = (
    section(
        "stamp_cards",
        MemberStamps,
        select(StampCard.name.label("stamp_card"), MemberStamps.stamps)
        .join(StampCard, StampCard.id == MemberStamps.stamp_card_id)
        .where(MemberStamps.member_id == ME)
        .order_by(StampCard.position),
    ),
    section(
        "given_once",
        GivenOnce,
        select(GivenOnce.what, GivenOnce.occasion, GivenOnce.at)
        .where(GivenOnce.member_id == ME)
        .order_by(GivenOnce.at),
    ),
    section(
        "visits",
        Visit,
        select(Visit.at, Location.name.label("location"), Visit.undone_at)
        .outerjoin(Location, Location.id == Visit.location_id)
        .where(Visit.member_id == ME)
        .order_by(Visit.at, Visit.id),
    ),
    section(
        "uncounted_visits",
        UncountedVisit,
        select(UncountedVisit.at).where(UncountedVisit.member_id == ME).order_by(UncountedVisit.at, UncountedVisit.id),
    ),
    section(
        "tier_changes",
        TierChange,
        select(TierChange.at, _before.name.label("tier_before"), _after.name.label("tier"))
        .outerjoin(_before, _before.id == TierChange.before_id)
        .outerjoin(_after, _after.id == TierChange.after_id)
        .where(TierChange.member_id == ME)
        .order_by(TierChange.at, TierChange.id),
    ),
    section(
        "groups",
        GroupMember,
        select(MemberGroup.name, MemberGroup.details, GroupMember.since)
        .join(MemberGroup, MemberGroup.id == GroupMember.group_id)
        .where(GroupMember.member_id == ME)
        .order_by(GroupMember.since, MemberGroup.name),
    ),
    section(
        "friend_link",
        ReferralLink,
        select(ReferralLink.created_at).where(ReferralLink.member_id == ME),
    ),
    section(
        # Of friends only that there was one: the rest is theirs, also whether they had been here before.
        "friends",
        Referral,
        select(
            *((Referral.friend_id == ME).label("came_by_a_friend"), Referral.state),
            case((Referral.friend_id == ME, Referral.reason), (_TOLD, Referral.reason), else_="").label("reason"),
            *(Referral.joined_at, Referral.decided_at),
        )
        .where((Referral.referrer_id == ME) | (Referral.friend_id == ME))
        .order_by(Referral.joined_at, Referral.id),
    ),
    section(
        "browsers",
        MemberDevice,
        select(MemberDevice.seen_at).where(MemberDevice.member_id == ME).order_by(MemberDevice.seen_at),
    ),
    section(
        "recommendation",
        NpsAsk,
        select(NpsAsk.asked_at, NpsAsk.via, NpsAsk.score, NpsAsk.comment, NpsAsk.answered_at)
        .where(NpsAsk.member_id == ME)
        .order_by(NpsAsk.asked_at),
    ),
    join_answers.SECTION,
    section(
        "warranties",
        Warranty,
        select(Warranty.name, Warranty.note, Warranty.ends_on, Warranty.remind_on, Warranty.created_at)
        .where(Warranty.member_id == ME)
        .order_by(Warranty.ends_on, Warranty.id),
    ),
    section(
        "apple_coupons",
        CouponRegistration,
        select(Reward.name, CouponRegistration.registered_at)
        .join(Reward, Reward.id == CouponRegistration.reward_id)
        .where(Reward.member_id == ME)
        .order_by(CouponRegistration.registered_at),
    ),
    section(
        "google_coupons",
        GoogleCoupon,
        select(Reward.name, GoogleCoupon.installs)
        .join(Reward, Reward.id == GoogleCoupon.reward_id)
        .where(GoogleCoupon.reward_id.in_(_COUPONS))
        .order_by(Reward.issued_at),
    ),
)
