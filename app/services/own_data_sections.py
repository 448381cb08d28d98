"""What belongs to a member, table by table, as the download has it.

Amounts are in minor units of the programme's currency, moments in UTC. What opens or pays something (codes, tokens,
hashes) is left out, and so is who of the staff did it: that is theirs.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Select, bindparam, select
from sqlalchemy.orm import Session, aliased

from app.db.base import Base
from app.db.campaigns import Campaign, CampaignRecipient, LinkClick, PhoneList, PhoneListMember
from app.db.credit import Credit, CustomerClass, MemberClass, SpendingProof
from app.db.delivery import AppleRegistration, GoogleObject, InstallEvent
from app.db.ledger import LedgerEntry, Reward
from app.db.messages import SmsMessage
from app.db.people import Consent, Member, MemberCard
from app.db.programs import Location, Program
from app.db.purchases import Purchase
from app.db.register import OldCard, RegisterImport, RegisterRow
from app.services import sms_sending
from app.services.context import Context
from app.services.views import MemberView

_AT_ONCE = 500  # rows
_PERSONAL_LINK = re.compile(r"/([clu])/[\w-]{10,}")
Read = Callable[[Context, Session, MemberView], Iterator[Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the download. `table`: whose rows these are."""

    name: str
    table: str
    columns: tuple[str, ...]
    read: Read

    def rows(self, ctx: Context, session: Session, member: MemberView) -> Iterator[dict[str, Any]]:
        for values in self.read(ctx, session, member):
            yield dict(zip(self.columns, values, strict=True))


def _section(name: str, table: type[Base], query: Select[*tuple[Any, ...]]) -> Section:
    """A section whose rows are those of a query; its bindparam is `member`."""

    def read(_ctx: Context, session: Session, member: MemberView) -> Iterator[Sequence[Any]]:
        options = {"yield_per": _AT_ONCE}
        yield from session.execute(query, {"member": member.id}, execution_options=options)

    return Section(name, table.__tablename__, tuple(str(column.key) for column in query.selected_columns), read)


_MESSAGE = ("at", "direction", "text", "language", "is_offer", "state", "sent_at")


def _messages(ctx: Context, session: Session, member: MemberView) -> Iterator[Sequence[Any]]:
    """By member, not by number: a number may have been somebody else's before."""
    query = select(SmsMessage).where(SmsMessage.member_id == member.id).order_by(SmsMessage.id)
    for row in session.scalars(query, execution_options={"yield_per": _AT_ONCE}):
        text = _PERSONAL_LINK.sub(r"/\1/…", sms_sending.body_of(ctx, session, row, hide_link=True))
        yield row.created_at, row.direction, text, row.language, row.marketing, row.state, row.sent_at


_ME: BindParameter[UUID] = bindparam("member")
_CARD = select(MemberCard.id).where(MemberCard.member_id == _ME)
_undoing = aliased(LedgerEntry)

SECTIONS = (
    _section(
        "programme",
        Program,
        select(Program.name, Program.organization_name, Program.currency, Program.time_zone)
        .join(Member, Member.program_id == Program.id)
        .where(Member.id == _ME),
    ),
    _section(
        "member",
        Member,
        select(
            *(Member.phone, Member.name, Member.email, Member.birth_date, Member.city, Member.language),
            *(Member.status, Member.joined_at, Member.via.label("joined_via"), Member.left_at),
            *(Member.stamps, Member.rewards, Member.credit_minor),
            *(Member.last_visit_at, Location.name.label("last_location")),
        )
        .outerjoin(Location, Location.id == Member.last_location_id)
        .where(Member.id == _ME),
    ),
    _section(
        "card",
        MemberCard,
        select(MemberCard.id.label("serial"), MemberCard.version, MemberCard.changed_at, MemberCard.news).where(
            MemberCard.member_id == _ME
        ),
    ),
    _section(
        "old_cards",
        OldCard,
        select(OldCard.number, OldCard.created_at).where(OldCard.member_id == _ME).order_by(OldCard.created_at),
    ),
    _section(
        "consents",
        Consent,
        select(Consent.at, Consent.purpose, Consent.granted, Consent.source, Consent.wording)
        .where(Consent.member_id == _ME)
        .order_by(Consent.at, Consent.id),
    ),
    _section(
        "ledger",
        LedgerEntry,
        select(
            *(LedgerEntry.number, LedgerEntry.at, LedgerEntry.unit, LedgerEntry.kind, LedgerEntry.amount),
            *(LedgerEntry.expires_at, LedgerEntry.amount_minor.label("bill_minor"), LedgerEntry.receipt_no),
            *(Location.name.label("location"), _undoing.number.label("undoes")),
        )
        .outerjoin(Location, Location.id == LedgerEntry.location_id)
        .outerjoin(_undoing, _undoing.id == LedgerEntry.reverses_id)
        .where(LedgerEntry.member_id == _ME)
        .order_by(LedgerEntry.number),
    ),
    _section(
        "rewards",
        Reward,
        select(Reward.name, Reward.status, Reward.issued_at, Reward.expires_at, Reward.closed_at)
        .where(Reward.member_id == _ME)
        .order_by(Reward.issued_at, Reward.id),
    ),
    _section(
        "credits",
        Credit,
        select(
            *(Credit.amount_minor, Credit.balance_minor, Credit.status, Credit.source, Credit.reason),
            *(Credit.granted_at, Credit.valid_from, Credit.expires_at, Credit.closed_at),
        )
        .where(Credit.member_id == _ME)
        .order_by(Credit.granted_at, Credit.id),
    ),
    _section(
        "proofs_by_sms",
        SpendingProof,
        select(SpendingProof.created_at, SpendingProof.expires_at, SpendingProof.tries, SpendingProof.used_at)
        .where(SpendingProof.member_id == _ME)
        .order_by(SpendingProof.id),
    ),
    _section(
        "purchases",
        Purchase,
        select(
            *(Purchase.at, Purchase.recorded_at, Purchase.amount_minor, Purchase.receipt_no),
            *(Location.name.label("location"), Purchase.lines, Purchase.undone_at),
        )
        .outerjoin(Location, Location.id == Purchase.location_id)
        .where(Purchase.member_id == _ME)
        .order_by(Purchase.at, Purchase.id),
    ),
    _section(
        "customer_class",
        MemberClass,
        select(
            *(CustomerClass.name.label("class"), MemberClass.last_at, MemberClass.purchases, MemberClass.spent_minor),
            *(MemberClass.recency, MemberClass.frequency, MemberClass.money),
        )
        .outerjoin(CustomerClass, CustomerClass.id == MemberClass.class_id)
        .where(MemberClass.member_id == _ME),
    ),
    Section("messages", SmsMessage.__tablename__, _MESSAGE, _messages),
    _section(
        "campaigns",
        CampaignRecipient,
        select(
            *(Campaign.name.label("campaign"), CampaignRecipient.medium, CampaignRecipient.variant),
            *(CampaignRecipient.state, CampaignRecipient.reason),
            *(CampaignRecipient.due_at, CampaignRecipient.handed_at),
        )
        .join(Campaign, Campaign.id == CampaignRecipient.campaign_id)
        .where(CampaignRecipient.member_id == _ME)
        .order_by(CampaignRecipient.number),
    ),
    _section(
        "clicks",
        LinkClick,
        select(Campaign.name.label("campaign"), LinkClick.at, LinkClick.kind)
        .join(CampaignRecipient, CampaignRecipient.number == LinkClick.recipient_number)
        .join(Campaign, Campaign.id == CampaignRecipient.campaign_id)
        .where(CampaignRecipient.member_id == _ME)
        .order_by(LinkClick.at, LinkClick.id),
    ),
    _section(
        "phone_lists",
        PhoneListMember,
        select(PhoneList.name, PhoneList.created_at)
        .join(PhoneListMember, PhoneListMember.list_id == PhoneList.id)
        .where(PhoneListMember.member_id == _ME)
        .order_by(PhoneList.created_at, PhoneList.id),
    ),
    _section(
        "old_register",
        RegisterRow,
        select(RegisterImport.file_name, RegisterImport.created_at, RegisterRow.old_card, RegisterRow.details)
        .join(RegisterImport, RegisterImport.id == RegisterRow.import_id)
        .where(RegisterRow.member_id == _ME)
        .order_by(RegisterImport.created_at, RegisterImport.id),
    ),
    _section(
        "wallets",
        InstallEvent,
        select(InstallEvent.at, InstallEvent.wallet, InstallEvent.added)
        .where(InstallEvent.card_id.in_(_CARD))
        .order_by(InstallEvent.at, InstallEvent.id),
    ),
    _section(
        "apple_wallets",
        AppleRegistration,
        select(AppleRegistration.registered_at)
        .where(AppleRegistration.card_id.in_(_CARD))
        .order_by(AppleRegistration.registered_at),
    ),
    _section(
        "google_wallet",
        GoogleObject,
        select(GoogleObject.installs, GoogleObject.notified_at).where(GoogleObject.card_id.in_(_CARD)),
    ),
)  # fmt: skip

# Table → why it is not handed out, though it may name a member.
LEFT_OUT = {
    "alerts": "a suspicion, which would be of no use if whom it is about could read it",
    "audit_entries": "the shop's log of its staff's work: what they did to the member is told with what it changed",
    "outbox": "what is on its way to a wallet or a phone, for seconds",
    "saved_answers": "a till's answers, kept for a short time so that a repeated call does nothing",
    "sms_events": "a provider's raw reports: what became of each message is told with it",
}
