"""What belongs to a member, table by table, as the download has it.

Amounts are in minor units of the programme's currency, moments in UTC. What opens or pays something (codes, tokens,
hashes) is left out, and so is who of the staff did it: that is theirs.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from app.db.campaigns import Campaign, CampaignRecipient, LinkClick, PhoneList, PhoneListMember
from app.db.credit import Credit, CustomerClass, MemberClass, SpendingProof
from app.db.delivery import AppleRegistration, GoogleObject, InstallEvent
from app.db.ledger import LedgerEntry, Reward
from app.db.messages import SmsMessage
from app.db.people import Consent, Member, MemberCard
from app.db.programs import Location, Program
from app.db.purchases import Purchase
from app.db.register import OldCard, RegisterImport, RegisterRow
from app.db.tiers import Tier
from app.services import own_data_programme, sms_sending
from app.services.context import Context
from app.services.own_data_reading import AT_ONCE, CARD, ME, Section, section
from app.services.views import MemberView

_PERSONAL_LINK = re.compile(r"/([clu]|fresh)/[\w-]{10,}")

_MESSAGE = ("at", "direction", "text", "language", "is_offer", "state", "sent_at")


def _messages(ctx: Context, session: Session, member: MemberView) -> Iterator[Sequence[Any]]:
    """By member, not by number: a number may have been somebody else's before."""
    query = select(SmsMessage).where(SmsMessage.member_id == member.id).order_by(SmsMessage.id)
    for row in session.scalars(query, execution_options={"yield_per": AT_ONCE}):
        text = _PERSONAL_LINK.sub(r"/\1/…", sms_sending.body_of(ctx, session, row, hide_link=True))
        yield row.created_at, row.direction, text, row.language, row.marketing, row.state, row.sent_at


_undoing = aliased(LedgerEntry)

SECTIONS = (
    section(
        "programme",
        Program,
        select(Program.name, Program.organization_name, Program.currency, Program.time_zone)
        .join(Member, Member.program_id == Program.id)
        .where(Member.id == ME),
    ),
    section(
        "member",
        Member,
        select(
            *(Member.phone, Member.name, Member.email, Member.birth_date, Member.city, Member.language),
            *(Member.status, Member.joined_at, Member.via.label("joined_via"), Member.left_at),
            *(Member.stamps, Member.rewards, Member.credit_minor, Member.bonus, Member.bonus_earned, Member.visits),
            *(Tier.name.label("tier"), Member.tier_since, Member.last_visit_at, Location.name.label("last_location")),
        )
        .outerjoin(Tier, Tier.id == Member.tier_id)
        .outerjoin(Location, Location.id == Member.last_location_id)
        .where(Member.id == ME),
    ),
    section(
        "card",
        MemberCard,
        select(MemberCard.id.label("serial"), MemberCard.version, MemberCard.changed_at, MemberCard.news).where(
            MemberCard.member_id == ME
        ),
    ),
    section(
        "old_cards",
        OldCard,
        select(OldCard.number, OldCard.created_at).where(OldCard.member_id == ME).order_by(OldCard.created_at),
    ),
    section(
        "consents",
        Consent,
        select(Consent.at, Consent.purpose, Consent.granted, Consent.source, Consent.wording)
        .where(Consent.member_id == ME)
        .order_by(Consent.at, Consent.id),
    ),
    section(
        "ledger",
        LedgerEntry,
        select(
            *(LedgerEntry.number, LedgerEntry.at, LedgerEntry.unit, LedgerEntry.kind, LedgerEntry.amount),
            *(LedgerEntry.expires_at, LedgerEntry.amount_minor.label("bill_minor"), LedgerEntry.receipt_no),
            *(Location.name.label("location"), _undoing.number.label("undoes")),
        )
        .outerjoin(Location, Location.id == LedgerEntry.location_id)
        .outerjoin(_undoing, _undoing.id == LedgerEntry.reverses_id)
        .where(LedgerEntry.member_id == ME)
        .order_by(LedgerEntry.number),
    ),
    section(
        "rewards",
        Reward,
        select(
            *(Reward.name, Reward.status, Reward.value, Reward.value_amount),
            *(Reward.issued_at, Reward.valid_from, Reward.expires_at, Reward.closed_at),
        )
        .where(Reward.member_id == ME)
        .order_by(Reward.issued_at, Reward.id),
    ),
    section(
        "credits",
        Credit,
        select(
            *(Credit.amount_minor, Credit.balance_minor, Credit.status, Credit.source, Credit.reason),
            *(Credit.granted_at, Credit.valid_from, Credit.expires_at, Credit.closed_at),
        )
        .where(Credit.member_id == ME)
        .order_by(Credit.granted_at, Credit.id),
    ),
    section(
        "proofs_by_sms",
        SpendingProof,
        select(SpendingProof.created_at, SpendingProof.expires_at, SpendingProof.tries, SpendingProof.used_at)
        .where(SpendingProof.member_id == ME)
        .order_by(SpendingProof.id),
    ),
    section(
        "purchases",
        Purchase,
        select(
            *(Purchase.at, Purchase.recorded_at, Purchase.amount_minor, Purchase.receipt_no),
            *(Location.name.label("location"), Purchase.lines, Purchase.undone_at),
        )
        .outerjoin(Location, Location.id == Purchase.location_id)
        .where(Purchase.member_id == ME)
        .order_by(Purchase.at, Purchase.id),
    ),
    section(
        "customer_class",
        MemberClass,
        select(
            *(CustomerClass.name.label("class"), MemberClass.last_at, MemberClass.purchases, MemberClass.spent_minor),
            *(MemberClass.recency, MemberClass.frequency, MemberClass.money),
        )
        .outerjoin(CustomerClass, CustomerClass.id == MemberClass.class_id)
        .where(MemberClass.member_id == ME),
    ),
    Section("messages", SmsMessage.__tablename__, _MESSAGE, _messages),
    section(
        "campaigns",
        CampaignRecipient,
        select(
            *(Campaign.name.label("campaign"), CampaignRecipient.medium, CampaignRecipient.variant),
            *(CampaignRecipient.state, CampaignRecipient.reason),
            *(CampaignRecipient.due_at, CampaignRecipient.handed_at),
        )
        .join(Campaign, Campaign.id == CampaignRecipient.campaign_id)
        .where(CampaignRecipient.member_id == ME)
        .order_by(CampaignRecipient.number),
    ),
    section(
        "clicks",
        LinkClick,
        select(Campaign.name.label("campaign"), LinkClick.at, LinkClick.kind)
        .join(CampaignRecipient, CampaignRecipient.number == LinkClick.recipient_number)
        .join(Campaign, Campaign.id == CampaignRecipient.campaign_id)
        .where(CampaignRecipient.member_id == ME)
        .order_by(LinkClick.at, LinkClick.id),
    ),
    section(
        "phone_lists",
        PhoneListMember,
        select(PhoneList.name, PhoneList.created_at)
        .join(PhoneListMember, PhoneListMember.list_id == PhoneList.id)
        .where(PhoneListMember.member_id == ME)
        .order_by(PhoneList.created_at, PhoneList.id),
    ),
    section(
        "old_register",
        RegisterRow,
        select(RegisterImport.file_name, RegisterImport.created_at, RegisterRow.old_card, RegisterRow.details)
        .join(RegisterImport, RegisterImport.id == RegisterRow.import_id)
        .where(RegisterRow.member_id == ME)
        .order_by(RegisterImport.created_at, RegisterImport.id),
    ),
    section(
        "wallets",
        InstallEvent,
        select(InstallEvent.at, InstallEvent.wallet, InstallEvent.added)
        .where(InstallEvent.card_id.in_(CARD))
        .order_by(InstallEvent.at, InstallEvent.id),
    ),
    section(
        "apple_wallets",
        AppleRegistration,
        select(AppleRegistration.registered_at)
        .where(AppleRegistration.card_id.in_(CARD))
        .order_by(AppleRegistration.registered_at),
    ),
    section(
        "google_wallet",
        GoogleObject,
        select(GoogleObject.installs, GoogleObject.notified_at).where(GoogleObject.card_id.in_(CARD)),
    ),
    *own_data_programme.SECTIONS,
)  # fmt: skip

# Table → why it is not handed out, though it may name a member.
LEFT_OUT = {
    "erasures": "a row of somebody who has no page any more",
    "alerts": "a suspicion, which would be of no use if whom it is about could read it",
    "audit_entries": "the shop's log of its staff's work: what they did to the member is told with what it changed",
    "outbox": "what is on its way to a wallet or a phone, for seconds",
    "saved_answers": "a till's answers, kept for a short time so that a repeated call does nothing",
    "sms_events": "a provider's raw reports: what became of each message is told with it",
}
