"""A programme with rows in every table, made from the models: a table that is added tomorrow is filled, too."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Connection, Table, insert
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import Boolean, Date, DateTime, Enum, Float, Integer, LargeBinary, String, Text, Time, Uuid
from uuid_utils.compat import uuid7

from app.db import tables

MOMENT = datetime(2026, 3, 29, 0, 59, 59, 123456, tzinfo=UTC)
WILD = '=1+1, "so" she said;\n\\.\n\\N مریم 🌻\tÄ'
ROWS = 2

Row = dict[str, Any]
# What CHECK constraints want, by table: column → value, from the row's number and what was made before.
CHECKED: dict[str, Callable[[int, "Filled"], Row]] = {
    "programs": lambda n, made: {"slug": made.slug, "stamps_needed": 10, "join_stamps": 0, "birthday_stamps": 1},
    "stamp_cards": lambda n, made: {"stamps_needed": 10, "join_stamps": 0, "birthday_stamps": 1},
    "pictures": lambda n, made: {"sha256": sha256(made.picture).hexdigest(), "content": made.picture},
    "credits": lambda n, made: {
        "member_id": made.id_of("members", n) if n == 0 else None,
        "group_id": made.id_of("code_groups", n) if n else None,
        "amount_minor": 500,
        "balance_minor": 300,
        "valid_from": MOMENT - timedelta(days=1),
    },
    "ledger_entries": lambda n, made: {
        "unit": "credit" if n else "stamp",
        "credit_id": made.id_of("credits", n) if n else None,
        "stamp_card_id": None if n else made.id_of("stamp_cards", n),
        "reverses_id": made.id_of("ledger_entries", 0) if n else None,
        "lot_id": made.id_of("ledger_entries", 0) if n else None,
        "kind": "undo" if n else "earn",
    },
    "nps_rules": lambda n, made: {"period_days": 180},
    "group_prices": lambda n, made: {"price_minor": None if n else 5, "off_bp": 5 if n else None},
    "double_windows": lambda n, made: {"factor": 2},
    "tiers": lambda n, made: {"needs": 100 * n},
    "outbox": lambda n, made: {"channel": "apple", "payload": {}},
}


@dataclass
class Filled:
    """What was made. `rows`: table → its rows as the database has them."""

    slug: str
    rows: dict[str, list[Row]] = field(default_factory=dict)

    @property
    def picture(self) -> bytes:
        return b"\x89PNG\r\n\x1a\n" + self.slug.encode()

    @property
    def program_id(self) -> UUID:
        found: UUID = self.rows["programs"][0]["id"]
        return found

    def id_of(self, table: str, number: int, column: str = "id") -> Any:
        rows = self.rows.get(table, [])
        return rows[number % len(rows)][column] if rows else None


def fill(connection: Connection, slug: str) -> Filled:
    """Rows in every table for a programme of this short name: the first with everything, the second with as little as
    can be."""
    made = Filled(slug)
    # What names others without a foreign key comes last.
    for table in sorted(tables.metadata.sorted_tables, key=lambda table: table.name == "member_classes"):
        keys = [column.name for column in table.primary_key.columns]
        for number in range(1 if keys == ["program_id"] or table.name in ("programs", "pictures") else ROWS):
            row = {
                column.name: _value(table, column, number, made)
                for column in table.columns
                if column.identity is None and not (number and column.nullable and column.name != "program_id")
            }
            row |= CHECKED.get(table.name, lambda n, made: {})(number, made)
            kept = connection.execute(insert(table).values(row).returning(*table.columns)).mappings().one()
            made.rows.setdefault(table.name, []).append(dict(kept))
    return made


def _value(table: Table, column: Column[Any], number: int, made: Filled) -> Any:
    for key in column.foreign_keys:
        return made.id_of(key.column.table.name, number, key.column.name)
    if isinstance(column.type, Uuid):
        parent = {"program_id": "programs", "member_id": "members", "run_id": "campaign_runs"}.get(column.name)
        return made.id_of(parent, number) if parent else uuid7()
    if isinstance(column.type, Enum):
        return column.type.enums[number % len(column.type.enums)]
    if isinstance(column.type, (String, Text)):
        length = getattr(column.type, "length", None) or 4000
        return f"{number}{made.slug[0]}{table.name[:2]}{WILD}"[:length]
    return _plain(column, number, made)


def _plain(column: Column[Any], number: int, made: Filled) -> Any:
    match column.type:
        case Boolean():
            return number == 0
        case DateTime():
            return MOMENT + timedelta(microseconds=number)
        case Date():
            return date(2026, 2, 28) + timedelta(days=number)
        case Time():
            return time(23, 59, 59, 999999 - number)
        case JSONB():
            return {"text": WILD, "list": [1, None, -1.5e-7, True], "ä": {}}
        case LargeBinary():
            return (bytes(range(256)) + made.slug.encode() + bytes([number]))[-(column.type.length or 300) :]
        case Float():
            return 60.169912345678904
        case Integer():
            return 1 + number
    raise TypeError(f"no value is known for a {column.type}")
