"""What is removed from each table when somebody is erased, so that nothing there tells who it was.

Everything here works inside the caller's transaction, on a member whose row the caller has locked. TABLES says of each
table that names members what becomes of it; a test looks that no table is missing.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.db import tables
from app.services.campaign_gate import ERASED
from sms.delivery_states import State
from sms.reasons import Reason

# Of a member, whatever else they hold.
_DELETED = (
    *("consents", "old_cards", "member_devices", "join_answers", "group_members", "phone_list_members"),
    *("referral_links", "given_once", "member_classes", "spending_proofs", "warranties", "register_rows"),
    "uncounted_visits",
)
_STATEMENTS = (
    "DELETE FROM nps_asks WHERE member_id = :member AND score IS NULL",
    "UPDATE nps_asks SET comment = '', token = '!' || right(replace(CAST(id AS text), '-', ''), 11)"
    " WHERE member_id = :member",
    "UPDATE referrals SET device = '' WHERE friend_id = :member OR referrer_id = :member",
    "UPDATE referrals SET state = 'refused', reason = 'erased', decided_at = :now"
    " WHERE state = 'waiting' AND (friend_id = :member OR referrer_id = :member)",
    "UPDATE purchases SET lines = NULL, receipt_no = '' WHERE member_id = :member",
    "UPDATE purchases SET phone = '' WHERE program_id = :program AND phone = :phone",
    "UPDATE ledger_entries SET receipt_no = '' WHERE member_id = :member AND receipt_no <> ''",
    "UPDATE rewards SET reason = '' WHERE member_id = :member AND reason <> ''",
    "UPDATE audit_entries SET details = details - 'reason'"
    " WHERE subject_id = :member AND action IN ('bonus.given', 'bonus.taken')",
    "UPDATE credits SET reason = '', code_nonce = NULL WHERE member_id = :member",
    "DELETE FROM link_clicks USING campaign_recipients AS one"
    " WHERE recipient_number = one.number AND one.member_id = :member",
    # The token opens nothing from now on: short links have other letters.
    "UPDATE campaign_recipients SET token = '!' || lpad(to_hex(number), 9, '0'), phone_check = 0"
    " WHERE member_id = :member",
    "UPDATE campaign_recipients SET state = 'skipped', reason = :erased"
    " WHERE member_id = :member AND state = 'planned'",
    "UPDATE google_objects SET message = '' WHERE card_id IN (SELECT id FROM cards WHERE member_id = :member)",
    "DELETE FROM register_rows WHERE phone = :phone"
    " AND import_id IN (SELECT id FROM register_imports WHERE program_id = :program)",
)
# In the order of the chores that forget old traces of many.
_LOCKED = (
    "SELECT id FROM purchases WHERE member_id = :member OR (program_id = :program AND phone = :phone)"
    " ORDER BY id FOR UPDATE",
    "SELECT id FROM sms_messages WHERE member_id = :member OR (phone = :phone AND (program_id = :program OR"
    " program_id IS NULL)) ORDER BY id FOR UPDATE",
)
# What a member's messages, and those with their number, keep: when, what they cost, and what became of them.
_MESSAGES = """UPDATE sms_messages SET phone = :nobody, text = '', template = '', params = '{}', flagged = false,
        ask_at = NULL,
        reason = CASE WHEN state = :queued THEN :reason ELSE reason END,
        state = CASE WHEN state = :queued THEN :failed WHEN state = :sending THEN :unknown ELSE state END
    WHERE member_id = :member OR (phone = :phone AND (program_id = :program OR program_id IS NULL))
    RETURNING id"""
_EVENTS = "DELETE FROM sms_events WHERE message_id = ANY(:messages)"
# A row that a worker holds right now is left to it: it finds nothing to send.
_OUTBOX = "DELETE FROM outbox WHERE channel = 'sms' AND state <> 'leased' AND subject_id = ANY(:messages)"

_GONE, _PSEUDONYM, _EMPTIED = "deleted", "kept under an id that is nobody's", "kept without what tells who it was"
# Table → what becomes of the member's rows.
TABLES = {
    **dict.fromkeys(_DELETED, _GONE),
    "members": _EMPTIED,
    "cards": _EMPTIED,
    "erasures": "the row that says that somebody was erased",
    "nps_asks": "answers are kept without their comments, questions without an answer are deleted",
    "referrals": _EMPTIED,
    "purchases": "kept without lines, receipt number and phone number",
    "ledger_entries": "kept without receipt numbers",
    "credits": "kept, lapsed, without reason and code",
    "rewards": "kept under an id that is nobody's, without reasons",
    "member_stamps": _PSEUDONYM,
    "visits": _PSEUDONYM,
    "tier_changes": _PSEUDONYM,
    "install_events": _PSEUDONYM,
    "link_clicks": _GONE,
    "campaign_recipients": _EMPTIED,
    "sms_messages": "kept without number and text",
    "sms_events": _GONE,
    "outbox": "messages are taken out; what tells the wallets stays until it is told",
    "apple_registrations": "deleted when the phones have had time to fetch the voided card",
    "google_objects": "deleted when Google has voided the card",
    "coupon_registrations": "deleted with the card's",
    "google_coupons": "deleted with the card's",
    "alerts": "counts, times and ids only",
    "audit_entries": "ids and names of settings, without the reasons of bonus given by hand",
    "saved_answers": "ids and balances only, for some days",
}


def lock_recipients(session: Session, member_id: UUID) -> None:
    """Keep campaigns from handing over anything to this member. Before the member's row: a campaign's batch locks
    its recipients first, and then members."""
    locked = "SELECT number FROM campaign_recipients WHERE member_id = :member ORDER BY number FOR UPDATE"
    session.execute(text(locked), {"member": member_id}).all()


def remove(session: Session, program_id: UUID, member_id: UUID, phone: str, nobody: str, now: datetime) -> None:
    """Remove what tells who the member was, but for the rows of `members` and `cards`. `nobody` stands for `phone`
    from now on."""
    whose = {"program": program_id, "member": member_id, "phone": phone}
    for locked in _LOCKED:
        session.execute(text(locked), whose).all()
    for name in _DELETED:
        table = tables.metadata.tables[name]
        session.execute(table.delete().where(table.c.member_id == member_id))
    for statement in _STATEMENTS:
        given = whose | {"erased": ERASED, "now": now}
        session.execute(text(statement), {name: value for name, value in given.items() if f":{name}" in statement})
    states = {"queued": State.QUEUED, "failed": State.FAILED, "sending": State.SENDING, "unknown": State.UNKNOWN}
    named = {name: state.value for name, state in states.items()} | {"reason": Reason.ERASED.value, "nobody": nobody}
    messages = session.scalars(text(_MESSAGES), whose | named).all()
    if messages:
        session.execute(text(_EVENTS), {"messages": list(messages)})
        session.execute(text(_OUTBOX), {"messages": list(messages)})
