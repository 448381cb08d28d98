"""Two programmes in one installation: what the other one has, whether it is untouched, and the calls that try it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import Any
from urllib.parse import quote

from flask import Flask
from sqlalchemy import Table, text
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from app.db import tables
from app.services.context import Context
from tests.integration.filled_tables import WILD, Filled

# A word of theirs that no page of ours has: all long texts of a filled programme hold it.
MARKER = next(word for word in WILD.split() if not word.isascii())
MARKERS = (MARKER, json.dumps(MARKER)[1:-1], quote(MARKER))

# Which of their rows an address may name: parameter → tables, or one column of a table.
NAMED: dict[str, tuple[str, ...]] = {
    "alert_id": ("alerts",),
    "ask_id": ("nps_asks",),
    "campaign_id": ("campaigns",),
    "card_code": ("cards.code",),
    "card_id": ("stamp_cards",),
    "class_id": ("customer_classes",),
    "code": ("referral_links.code",),
    "code_id": ("join_codes",),
    "credit_id": ("credits",),
    "device": ("apple_devices.library_identifier",),
    "goal_id": ("visit_rewards",),
    "group_id": ("member_groups", "code_groups"),
    "id": ("members", "rewards", "purchases", "ledger_entries", "ledger_entries.operation_id"),
    "import_id": ("register_imports",),
    "key_id": ("api_keys",),
    "list_id": ("phone_lists",),
    "location_id": ("locations",),
    "member_id": ("members",),
    "message_id": ("sms_messages",),
    "picture_id": ("pictures",),
    "price_id": ("group_prices",),
    "purchase_id": ("purchases",),
    "question_id": ("join_questions",),
    "rate_id": ("bonus_rates",),
    "referral_id": ("referrals",),
    "reward_id": ("rewards",),
    "row_id": ("outbox",),
    "run_id": ("credit_runs", "campaign_runs"),
    "segment_id": ("segments",),
    "serial": ("cards", "rewards"),
    "staff_id": ("staff",),
    "subject_id": ("staff", "api_keys", "locations"),
    "threshold_id": ("bonus_thresholds",),
    "type_id": ("reward_types",),
    "warranty_id": ("warranties",),
    "window_id": ("double_windows",),
}
# These name nobody's rows: what a page is called, which file, which of our own pictures.
PLAIN = {"form": "csv", "kind": "x", "name": "x", "pass_type": "pass.fi.leima.test", "purpose": "sms_marketing"}


class Unknown(LookupError):
    """A route names something that the walk can't fill; the words say what to add."""


@dataclass(frozen=True)
class Stranger:
    """A programme of somebody else, filled with rows in every table."""

    ctx: Context
    filled: Filled

    def values(self, named: str) -> list[Any]:
        """What can stand for a table or `table.column` of theirs."""
        table, _, column = named.partition(".")
        return [row[column or "id"] for row in self.filled.rows.get(table, [])]

    def state(self) -> dict[str, str]:
        """Table → a sum over all rows that are theirs, or hang on one of theirs."""
        parts = [
            f"SELECT '{table.name}', md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), ''))"  # noqa: S608
            f" FROM {table.name} t WHERE {self._theirs(table)}"
            for table in tables.metadata.sorted_tables
        ]
        with self.ctx.engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(text(" UNION ALL ".join(parts)))}

    def _theirs(self, table: Table) -> str:
        """Their programme's, or naming one of the rows that they were filled with."""
        ways = [f"program_id = '{self.filled.program_id}'"] if "program_id" in table.c else []
        if "id" in table.c:
            ways.append(_among("id", self.values(table.name)))
        for column in table.columns:
            ways += [_among(column.name, self.values(key.target_fullname)) for key in column.foreign_keys]
        if table.name == "saved_answers":
            ways.append(_among("scope", self.values("staff") + self.values("api_keys")))
        return " OR ".join(ways) or "false"

    def fields(self) -> dict[str, str]:
        """Fields of forms and of queries that name their things, under every name in use."""
        by_table = {names[0].partition(".")[0]: self.values(names[0])[0] for names in NAMED.values()}
        ids = {name: self.values(names[0])[0] for name, names in NAMED.items()}
        more = {
            "after": by_table["nps_asks"],
            "before": by_table["credits"],
            "location": by_table["locations"],
            "location_ids": by_table["locations"],
            "member": by_table["members"],
            "operation_id": self.values("ledger_entries.operation_id")[0],
            "reward": by_table["reward_types"],
            "reward_type_id": by_table["reward_types"],
            "segment": by_table["segments"],
            "stamp_card": by_table["stamp_cards"],
            "phone": self.values("members.phone")[0],
            "key": "tried-by-a-stranger",
        }
        return {name: str(value) for name, value in (ids | more).items()}


def side_of(ctx: Context, slug: str) -> Stranger:
    """A programme that was made by hand, seen in the same way."""
    side = Stranger(ctx, Filled(slug))
    with ctx.engine.connect() as connection:
        for table in tables.metadata.sorted_tables:
            ways = [f"slug = '{slug}'"] if table.name == "programs" else []
            for column in table.columns:
                for key in column.foreign_keys:
                    parent = key.column.table.name
                    if parent != table.name:
                        ways.append(_among(column.name, side.values(key.target_fullname)))
            theirs = " OR ".join(ways) or "false"
            found = connection.execute(text(f"SELECT * FROM {table.name} WHERE {theirs}"))  # noqa: S608
            side.filled.rows[table.name] = [dict(row) for row in found.mappings()]
    return side


def _among(column: str, values: list[Any]) -> str:
    listed = ", ".join("'{}'".format(str(value).replace("'", "''")) for value in values if value is not None)
    return f"{column}::text IN ({listed})" if listed else "false"


def addresses(rule: Rule, stranger: Stranger, own: dict[str, str]) -> Iterator[str]:
    """The rule's addresses with their rows in every place. `own`: what shows who we are, as our own card's token.

    Raises Unknown for a parameter that stands nowhere above."""
    names = sorted(rule.arguments)
    for chosen in product(*(_fillings(rule, name, stranger, own) for name in names)):
        built = rule.build(dict(zip(names, chosen, strict=True)))
        if built is not None:
            yield str(built[1])


def _fillings(rule: Rule, name: str, stranger: Stranger, own: dict[str, str]) -> list[Any]:
    if items := getattr(rule._converters[name], "items", None):
        return sorted(items)
    if name in own:
        return [own[name]]
    if name in PLAIN:
        return [PLAIN[name]]
    if name not in NAMED:
        raise Unknown(
            f"{rule.rule} ({rule.endpoint}) has a parameter <{name}>: add to NAMED in tests/integration/strangers.py "
            "which table it names a row of, or to PLAIN if it names nobody's rows"
        )
    return [value for named in NAMED[name] for value in stranger.values(named)[:1]]


def walked(app: Flask) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]


def methods(rule: Rule) -> list[str]:
    return sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})


def leaks(answer: TestResponse) -> bool:
    """Whether the answer, or where it sends, holds a word of theirs."""
    shown = answer.get_data().decode("utf-8", "replace") + reduce(lambda all, one: all + one[1], answer.headers, "")
    return any(marker in shown for marker in MARKERS)
