"""What of each table belongs to a programme's export. A table without a line here fails a test.

A programme's rows name it, or something of its; a few tables are shared by all programmes, and of those goes along
what the programme uses. Left behind is only what lives for minutes, and what is still to be told to the outside: a copy
of an installation must not say anything to anybody a second time.
"""

from dataclasses import dataclass, field

from sqlalchemy import Table

from app.db import tables
from app.services.table_copy import Rows, primary_key, quoted

PROGRAM = "%(program)s"


@dataclass(frozen=True, slots=True)
class Policy:
    """Which rows of a table go along: those whose `column` is the programme, or names a `parent` row that goes along.

    `left_because`: none of them, and why. `where` is for what is shared. `merge`: what becomes of a shared row that is
    there already, as SQL after ON CONFLICT. `order`: how rows come, when not by the primary key. `instead`: SQL for a
    column's value. `without`: columns that go along in another way.
    """

    column: str = ""
    parent: str = ""
    parent_column: str = "id"
    where: str = ""
    left_because: str = ""
    merge: str = ""
    order: tuple[str, ...] = ()
    instead: dict[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()


_OWN = Policy("program_id")
_OF_MEMBER = Policy("member_id", "members")
_PASSWORD_LEFT_OUT = "''"  # noqa: S105 - SQL for an empty text

POLICIES: dict[str, Policy] = {
    "alerts": _OWN,
    "api_keys": _OWN,
    "apple_devices": Policy(
        where="id IN (SELECT device_id FROM apple_registrations WHERE {apple_registrations}) "
        "OR id IN (SELECT device_id FROM coupon_registrations WHERE {coupon_registrations})",
        merge="(id) DO UPDATE SET tag = greatest(apple_devices.tag, excluded.tag)",
    ),
    "apple_registrations": Policy("card_id", "cards"),
    "audit_entries": _OWN,
    "bonus_rates": _OWN,
    "bonus_rules": _OWN,
    "bonus_thresholds": _OWN,
    "campaign_recipients": _OWN,
    "campaign_rules": _OWN,
    "campaign_runs": _OWN,
    "campaigns": _OWN,
    "cards": _OF_MEMBER,
    "code_groups": _OWN,
    "consents": _OF_MEMBER,
    "coupon_registrations": Policy("reward_id", "rewards"),
    "credit_runs": _OWN,
    "credits": _OWN,
    "customer_classes": _OWN,
    "double_windows": _OWN,
    "erasures": _OWN,
    "given_once": _OF_MEMBER,
    "google_classes": _OWN,
    "google_coupon_classes": Policy("type_id", "reward_types"),
    "google_coupons": Policy("reward_id", "rewards"),
    "google_objects": Policy("card_id", "cards"),
    "group_members": Policy("group_id", "member_groups"),
    "group_prices": Policy("group_id", "member_groups"),
    "guard_rules": _OWN,
    "install_events": _OWN,
    "join_answers": _OF_MEMBER,
    "join_codes": _OWN,
    "join_questions": _OWN,
    "join_rules": _OWN,
    # An entry names only entries that were written before it, so that in this order its foreign keys hold block by
    # block.
    "ledger_entries": Policy("program_id", order=("number", "id")),
    "link_clicks": Policy("recipient_number", "campaign_recipients", "number"),
    "locations": _OWN,
    "member_classes": _OWN,
    "member_devices": _OF_MEMBER,
    "member_groups": _OWN,
    "member_stamps": _OF_MEMBER,
    "members": _OWN,
    "nps_asks": _OWN,
    "nps_rules": _OWN,
    "old_cards": _OWN,
    "outbox": Policy(left_because="what is still to be told: cards are told anew, messages wait for a person's word"),
    "phone_list_members": Policy("list_id", "phone_lists"),
    "phone_lists": _OWN,
    "pictures": Policy(
        where="id IN (SELECT logo_id FROM programs WHERE {programs})", merge="DO NOTHING", without=("content",)
    ),
    "program_rules": _OWN,
    "programs": Policy("id"),
    "purchases": _OWN,
    "referral_links": _OF_MEMBER,
    "referral_rules": _OWN,
    "referrals": _OWN,
    "register_imports": _OWN,
    "register_rows": Policy("import_id", "register_imports"),
    "retention_rules": _OWN,
    "reward_types": _OWN,
    "rewards": _OWN,
    "rfm_settings": _OWN,
    "saved_answers": Policy(left_because="answers to a till's repeated requests: they are of use for minutes"),
    "segments": _OWN,
    "sms_days": _OWN,
    "sms_events": Policy("message_id", "sms_messages"),
    "sms_messages": _OWN,
    "sms_rules": _OWN,
    "spending_proofs": Policy(left_because="one-time codes that were sent to a phone: they live for minutes"),
    "staff": Policy("program_id", instead={"password_hash": _PASSWORD_LEFT_OUT}),
    "stamp_cards": _OWN,
    "tier_changes": _OWN,
    "tier_rules": _OWN,
    "tiers": _OWN,
    "uncounted_visits": _OWN,
    "visit_rewards": _OWN,
    "visit_rules": _OWN,
    "visits": _OWN,
    "warranties": _OWN,
}


def scope(table: str) -> str:
    """SQL for the rows of a table that are the programme's: a condition with %(program)s."""
    policy = POLICIES[table]
    if policy.where:
        return policy.where.format_map({name: scope(name) for name, other in POLICIES.items() if other.column})
    if not policy.parent:
        return f"{quoted(policy.column)} = {PROGRAM}"
    inner = f"SELECT {quoted(policy.parent_column)} FROM {quoted(policy.parent)} WHERE {scope(policy.parent)}"  # noqa: S608 - names of our tables
    return f"{quoted(policy.column)} IN ({inner})"


def exported() -> list[Table]:
    """The tables of which rows go along, each after those that it names."""
    return [table for table in tables.metadata.sorted_tables if not POLICIES[table.name].left_because]


def rows(table: Table, *, passwords: bool) -> Rows:
    """What of a table is the programme's."""
    policy = POLICIES[table.name]
    return Rows(
        table,
        [column.name for column in table.columns if column.name not in policy.without],
        scope(table.name),
        {} if passwords else policy.instead,
        policy.order or primary_key(table),
    )
