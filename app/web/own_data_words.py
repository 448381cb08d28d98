"""Everything that is kept of a member, in words for people: titles of the tables, headings of the columns, values."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from app.i18n import LANGUAGES, N_, Translator
from app.services import referral_words
from app.services.own_data_reading import Section
from app.services.programs import ProgramView

TITLES = {
    "programme": N_("The programme"),
    "member": N_("About you"),
    "card": N_("Your card"),
    "old_cards": N_("Old cards"),
    "consents": N_("What you have agreed to"),
    "ledger": N_("Stamps, bonus, rewards and credit: each entry"),
    "rewards": N_("Rewards"),
    "credits": N_("Credit"),
    "proofs_by_sms": N_("Codes sent to your phone"),
    "purchases": N_("Receipts"),
    "customer_class": N_("Your customer class"),
    "messages": N_("SMS"),
    "campaigns": N_("Offers for you"),
    "clicks": N_("Links in offers that you opened"),
    "phone_lists": N_("Lists of phone numbers that you are on"),
    "old_register": N_("From the shop's old register"),
    "wallets": N_("Wallets: added and removed"),
    "apple_wallets": N_("iPhones with your card"),
    "google_wallet": N_("Google Wallet"),
    "stamp_cards": N_("Further stamp cards"),
    "given_once": N_("Presents and notices that come once"),
    "visits": N_("Visits"),
    "uncounted_visits": N_("Visits that did not count"),
    "tier_changes": N_("Tiers"),
    "groups": N_("Groups"),
    "friend_link": N_("Your link for friends"),
    "friends": N_("Friends"),
    "browsers": N_("Browsers on which your page was opened"),
    "recommendation": N_("What you think of the shop"),
    "joining_answers": N_("Your answers when you joined"),
    "warranties": N_("Receipts kept for a warranty"),
    "apple_coupons": N_("Coupons on iPhones"),
    "google_coupons": N_("Coupons in Google Wallet"),
}
_TIME, _NAME, _STATE, _AMOUNT, _WAY = N_("Time"), N_("Name"), N_("State"), N_("Amount"), N_("Way")
COLUMNS = {
    **dict.fromkeys(("at", "changed_at", "created_at", "since", "seen_at"), _TIME),
    **dict.fromkeys(("name", "campaign", "class"), _NAME),
    **dict.fromkeys(("status", "state"), _STATE),
    **dict.fromkeys(("amount", "amount_minor", "value_amount"), _AMOUNT),
    **dict.fromkeys(("via", "medium", "wallet", "source"), _WAY),
    **dict.fromkeys(("expires_at", "ends_on"), N_("Until")),
    **dict.fromkeys(("phone",), N_("Mobile number")),
    **dict.fromkeys(("joined_at",), N_("Joined")),
    **dict.fromkeys(("location", "last_location"), N_("Location")),
    **dict.fromkeys(("reason", "note", "details", "comment"), N_("Note")),
    **dict.fromkeys(("wording", "text", "answer"), N_("Words")),
    **dict.fromkeys(("undone_at", "undoes"), N_("Taken back")),
    **dict.fromkeys(("issued_at", "granted_at", "asked_at"), N_("Given")),
    **dict.fromkeys(("closed_at", "used_at", "answered_at", "decided_at"), N_("Done")),
    **dict.fromkeys(("valid_from",), N_("From")),
    "email": N_("E-mail"),
    "birth_date": N_("Birthday"),
    "city": N_("City"),
    "language": N_("Language"),
    "joined_via": N_("Channel"),
    "left_at": N_("Left"),
    "stamps": N_("Stamps"),
    "rewards": N_("Rewards"),
    "credit_minor": N_("Credit"),
    "bonus": N_("Bonus"),
    "visits": N_("Visits"),
    "tier": N_("Tier"),
    "purpose": N_("What for"),
    "granted": N_("Agreed"),
    "unit": N_("What"),
    "kind": N_("Kind"),
    "bill_minor": N_("Purchase"),
    "receipt_no": N_("Receipt"),
    "lines": N_("Lines"),
    "balance_minor": N_("Left to use"),
    "direction": N_("From or to you"),
    "is_offer": N_("Offer"),
    "sent_at": N_("Sent"),
    "added": N_("Added"),
    "score": N_("Score"),
    "question": N_("Question"),
    "remind_on": N_("Reminder"),
    "stamp_card": N_("Stamp card"),
    "news": N_("News"),
    "spent_minor": N_("Spent"),
    "purchases": N_("Purchases"),
    "old_card": N_("Old card"),
    "organization_name": N_("Shop"),
    "currency": N_("Currency"),
    "time_zone": N_("Time zone"),
    "recorded_at": N_("Noted"),
    "last_visit_at": N_("Last visit"),
    "bonus_earned": N_("Bonus earned in all"),
    "registered_at": N_("Since"),
    "number": N_("Number"),
}
# What the database says in one word, where people would ask what it means.
VALUES = {
    "active": N_("Active"),
    "blocked": N_("Blocked"),
    "left": N_("Left"),
    "stamp": N_("Stamps"),
    "reward": N_("Rewards"),
    "credit": N_("Credit"),
    "bonus": N_("Bonus"),
    "visit": N_("Visits"),
    "earn": N_("Earned"),
    "join": N_("For joining"),
    "convert": N_("Full card"),
    "grant": N_("Given"),
    "redeem": N_("Used"),
    "redeemed": N_("Used"),
    "expiry": N_("Lapsed"),
    "expired": N_("Lapsed"),
    "undo": N_("Taken back"),
    "withdrawn": N_("Taken back"),
    "issued": N_("To use"),
    "open": N_("To use"),
    "in": N_("From you"),
    "out": N_("To you"),
    "terms": N_("Terms"),
    "sms_marketing": N_("Offers by SMS"),
    "email_marketing": N_("Offers by e-mail"),
}
# The same for words that mean something else in other tables: (table, column) → words.
_OF_TABLE: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("friends", "state"): {state.value: words for state, words in referral_words.STATES.items()},
    ("friends", "reason"): {reason.value: words for reason, words in referral_words.REASONS.items()},
}
_IN_WORDS = ("status", "state", "unit", "kind", "direction", "purpose")
_MONEY = "_minor"


@dataclass(frozen=True, slots=True)
class Shown:
    """A table as it stands on the page. `records`: rows as (heading, value) without what is empty."""

    name: str
    title: str
    records: Sequence[Sequence[tuple[str, str]]]


def shown_sections(
    text: Translator, program: ProgramView, sections: Sequence[tuple[Section, Sequence[Mapping[str, Any]]]]
) -> list[Shown]:
    """The sections in this language."""
    return [
        Shown(
            section.name,
            text.gettext(TITLES[section.name]),
            [
                [
                    (_heading(text, column), _shown(text, program, section.name, column, value))
                    for column, value in row.items()
                    if value not in (None, "", [], {})
                ]
                for row in rows
            ],
        )
        for section, rows in sections
    ]


def _heading(text: Translator, column: str) -> str:
    """Where we have no word of ours, the column's name as it is in the files."""
    return text.gettext(COLUMNS[column]) if column in COLUMNS else column.removesuffix(_MONEY).replace("_", " ")


def _shown(text: Translator, program: ProgramView, table: str, column: str, value: Any) -> str:
    words = _OF_TABLE.get((table, column), {}).get(str(value))
    return text.gettext(words) if words else _value(text, program, column, value)


def _value(text: Translator, program: ProgramView, column: str, value: Any) -> str:
    match value:
        case bool():
            return text.gettext(N_("Yes")) if value else text.gettext(N_("No"))
        case str() if column == "language":
            return LANGUAGES.get(value, value)
        case str() if column in _IN_WORDS:
            word = str(value.value if isinstance(value, Enum) else value)
            return text.gettext(VALUES[word]) if word in VALUES else word
        case Enum():
            return str(value.value)
        case int() if column.endswith(_MONEY):
            return text.money(value, program.currency)
        case int() | Decimal():
            return text.number(value)
        case datetime():
            return text.moment(value, program.time_zone)
        case date():
            return text.date(value)
        case list() if column == "lines":
            return text.listed([_line(text, program, line) for line in value])
        case list() | dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


def _line(text: Translator, program: ProgramView, line: Mapping[str, Any]) -> str:
    amount = line.get("amount_minor")
    words = str(line.get("name", ""))
    if line.get("quantity", "1") != "1":
        words = f"{text.digits(str(line['quantity']))} × {words}"
    return f"{words} {text.money(amount, program.currency)}" if isinstance(amount, int) else words
